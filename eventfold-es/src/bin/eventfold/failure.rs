//! Why a command failed: [`Failure`].

use std::fmt;
use std::io;
use std::process::ExitCode;

use eventfold_es::ImportError;

/// Why a command failed, by exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for is not there.
    NotThere(String),
    /// An argument is not valid.
    Usage(String),
    /// A file of the store cannot be used.
    Store(io::Error),
    /// Lines cannot be imported.
    Import(ImportError),
    /// A file that is not of the store cannot be read.
    Input(String),
    /// The output cannot be written.
    Output(io::Error),
    /// By Ctrl-C.
    Interrupted,
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::NotThere(_) => 1,
            Self::Usage(_)
            | Self::Import(
                ImportError::Version { .. }
                | ImportError::Position { .. }
                | ImportError::ProcessManagers(_),
            ) => 2,
            Self::Store(error) => match error.kind() {
                io::ErrorKind::InvalidInput => 2,
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => 3,
                io::ErrorKind::InvalidData | io::ErrorKind::Unsupported => 4,
                io::ErrorKind::ResourceBusy => 5,
                _ => 6,
            },
            Self::Import(ImportError::Line { .. }) => 4,
            Self::Import(_) | Self::Input(_) | Self::Output(_) => 6,
            // As shells say it of a program that a signal has ended: 128 and the signal's number.
            Self::Interrupted => 130,
        })
    }

    pub(crate) fn report(&self) {
        use std::io::Write as _;
        // Without a place for the message the exit code has to do.
        let _ = writeln!(anstream::stderr(), "eventfold: {self}");
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotThere(text) | Self::Usage(text) | Self::Input(text) => f.write_str(text),
            Self::Import(error) => {
                error.fmt(f)?;
                f.write_str(match error {
                    ImportError::ProcessManagers(_) => {
                        " (here with `--let-process-managers-react`, `--from-now`, `--react-again`)"
                    }
                    ImportError::Position { .. } => {
                        " (positions are kept if `--keep-positions` says so, or if process managers come \
                         along; what the lines before say is imported)"
                    }
                    _ => " (what the lines before say is imported; import all lines again)",
                })
            }
            Self::Interrupted => f.write_str("interrupted: the same command goes on where it was"),
            Self::Output(error) => write!(f, "cannot write the output: {error}"),
            Self::Store(error) => {
                error.fmt(f)?;
                f.write_str(match error.kind() {
                    io::ErrorKind::InvalidData => " (`eventfold verify` lists all damage)",
                    io::ErrorKind::ResourceBusy => {
                        " (this needs the store for itself: stop the program that has it)"
                    }
                    _ => "",
                })
            }
        }
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Io(error) => Self::Store(error),
            error => Self::Import(error),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Store(error)
    }
}

//! Writing a history while it happens: [`Recorder`].

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of the clock that all processes of this machine share, and that nobody sets.
///
/// # Panics
///
/// If it is before its start.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).expect("the clock starts at 0");
    let nanos = u64::try_from(time.tv_nsec).expect("a part of a second");
    seconds * 1_000_000_000 + nanos
}

/// Writes the operations of one process to a file. Each line is handed to the system at once, so it
/// outlasts a kill of the process.
#[derive(Debug)]
pub struct Recorder {
    file: Mutex<File>,
    number: AtomicU64,
}

impl Recorder {
    /// Begins a history.
    ///
    /// # Errors
    ///
    /// If the file is there, or cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: Mutex::new(File::create_new(path)?),
            number: AtomicU64::new(0),
        })
    }

    /// Notes that `client` is about to make a call. Returns the number of the operation.
    ///
    /// # Errors
    ///
    /// If the line cannot be written. The call must not be made then.
    pub fn begin(&self, client: u64, call: impl Display) -> io::Result<u64> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        self.write(&format!("{number} {} begin {client} {call}\n", now()))?;
        Ok(number)
    }

    /// Notes the answer to the operation.
    ///
    /// # Errors
    ///
    /// If the line cannot be written.
    pub fn end(&self, number: u64, outcome: impl Display) -> io::Result<()> {
        // The time first: the operation ended before this thread came to write it down.
        let now = now();
        self.write(&format!("{number} {now} {outcome}\n"))
    }

    fn write(&self, line: &str) -> io::Result<()> {
        let mut file = self.file.lock().expect("nobody panics with it");
        file.write_all(line.as_bytes())
    }
}

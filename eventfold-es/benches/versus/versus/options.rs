//! The command line.

use std::path::PathBuf;

use crate::contender::Contender;

pub(crate) const USAGE: &str = "\
cargo bench --bench versus -- [OPTIONS]

  --quick        only the first rows with goals, and few rounds: about two minutes
  --peers        the table that compares with peers, instead of the others; see Cargo.toml
  --row TEXT     only rows whose name begins so; may be repeated
  --only WHO     only this one is measured, by the name of its column; may be repeated
  --rounds N     how often the rows with goals are measured; the others a third of it
  --seconds S    how long commands are sent each time
  --json FILE    write all numbers there
  --docs DIR     write speed.svg there and the tables into speed.md
  --list         print the rows' names
";

const NOT_BUILT: &str = "\
--peers needs them to be built:
cargo bench --bench versus --features peers --ignore-rust-version -- --peers";

/// What to do.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) quick: bool,
    pub(crate) peers: bool,
    pub(crate) rows: Vec<String>,
    pub(crate) only: Vec<String>,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) json: Option<PathBuf>,
    pub(crate) docs: Option<PathBuf>,
    pub(crate) list: bool,
}

impl Options {
    /// Reads the command line, `None` if there is nothing to measure: only `cargo bench` says
    /// `--bench`.
    pub(crate) fn from_args(
        args: impl IntoIterator<Item = String>,
    ) -> Result<Option<Self>, String> {
        let mut options = Self {
            quick: false,
            peers: false,
            rows: Vec::new(),
            only: Vec::new(),
            rounds: 0,
            seconds: 0.6,
            json: None,
            docs: None,
            list: false,
        };
        let mut is_bench = false;
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            let invalid = |error: &dyn std::fmt::Display| format!("{arg}: {error}");
            match arg.as_str() {
                "--bench" => is_bench = true,
                "--quick" => options.quick = true,
                "--peers" if cfg!(feature = "peers") => options.peers = true,
                "--peers" => return Err(NOT_BUILT.to_owned()),
                "--list" => options.list = true,
                "--row" => options.rows.push(value()?),
                "--only" => options.only.push(value()?),
                "--rounds" => options.rounds = value()?.parse().map_err(|e| invalid(&e))?,
                "--seconds" => options.seconds = value()?.parse().map_err(|e| invalid(&e))?,
                "--json" => options.json = Some(value()?.into()),
                "--docs" => options.docs = Some(value()?.into()),
                _ => return Err(format!("{arg} is not known")),
            }
        }
        if options.rounds == 0 {
            options.rounds = if options.quick { 3 } else { 6 };
        }
        for only in &options.only {
            if !Contender::ALL.iter().any(|who| who.name() == only) {
                return Err(format!("nobody is named {only}"));
            }
        }
        if options.seconds <= 0.0 {
            return Err("nothing can be measured in no time".to_owned());
        }
        Ok(is_bench.then_some(options))
    }

    /// Whether a row of that name is asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|part| name.starts_with(part.as_str()))
    }
}

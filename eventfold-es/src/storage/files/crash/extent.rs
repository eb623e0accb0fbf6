//! How many of the possible faults are tried: one of [`PART`], or all of them if `EVENTFOLD_WHOLE` is set.
//!
//! `EVENTFOLD_WHOLE=1 cargo test -p eventfold-es --lib crash` tries all.

/// By default one of so many is tried. A prime, so that no kind of fault is always left out.
const PART: u64 = 19;

/// How far one fault that is tried is from the next.
pub(crate) fn step() -> u64 {
    let is_whole = std::env::var_os("EVENTFOLD_WHOLE").is_some_and(|value| !value.is_empty());
    if is_whole { 1 } else { PART }
}

/// How many of `all` faults are tried.
pub(crate) fn tried(all: u64) -> u64 {
    all.div_ceil(step())
}

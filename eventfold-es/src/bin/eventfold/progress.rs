//! How far something is that takes long, on the terminal: [`Progress`].

use std::cell::Cell;
use std::time::Duration;

use eventfold_es::Position;
use indicatif::{ProgressBar, ProgressStyle};

/// A bar on the standard error, if that is a terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
    calls: Cell<u64>,
}

/// The bar is moved once in so many events.
const STEP: u64 = 16 * 1024;

impl Progress {
    /// A bar over the events up to `head`.
    pub(crate) fn events(head: Position) -> Self {
        let bar = ProgressBar::new(number(head));
        let template = "{wide_bar} {human_pos}/{human_len} events, {eta} left";
        Self::with(bar, template)
    }

    /// A bar over bytes, which others move.
    pub(crate) fn bytes() -> Self {
        let bar = ProgressBar::new(0);
        Self::with(bar, "{wide_bar} {bytes}/{total_bytes}, {eta} left")
    }

    /// Moves a bar over bytes, from any thread.
    pub(crate) fn mover(&self) -> impl FnMut(u64, u64) + Send + 'static {
        let bar = self.bar.clone();
        move |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        }
    }

    /// Something whose length is not known.
    pub(crate) fn of(what: &'static str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self::with(bar, "{spinner} {msg}, {elapsed}")
    }

    fn with(bar: ProgressBar, template: &str) -> Self {
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            bar,
            calls: Cell::new(0),
        }
    }

    /// Moves the bar to `position`, now and then.
    pub(crate) fn at(&self, position: Position) {
        self.calls.set(self.calls.get() + 1);
        if self.calls.get().is_multiple_of(STEP) {
            self.bar.set_position(number(position));
        }
    }

    /// Moves the bar over the first `count` events that are read, now and then.
    pub(crate) fn done(&self, count: u64) {
        if count.is_multiple_of(STEP) {
            self.bar.set_position(count);
        }
    }

    /// Prints something while the bar is away.
    pub(crate) fn without<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A position as a number, for bars: positions of files have no gaps.
pub(crate) fn number(position: Position) -> u64 {
    position.to_string().parse().unwrap_or(0)
}

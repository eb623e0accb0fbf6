//! When a command is to be sent: [`Due`].

use std::time::{Duration, SystemTime};

/// When a command is to be sent: at a time, or some time after the event.
///
/// "After" counts from the [time of the event](crate::Recorded::time), not from when the process manager
/// reacts to it. So a deadline does not move when the program is down, and is the same whenever the
/// event is reacted to. A command that is already due is sent at once.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use eventfold_es::Due;
///
/// assert_eq!(Due::from(Duration::from_secs(60)), Due::After(Duration::from_secs(60)));
/// assert_eq!(Due::from(SystemTime::UNIX_EPOCH), Due::At(SystemTime::UNIX_EPOCH));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// At this time, to the millisecond.
    At(SystemTime),
    /// This long after the event, to the millisecond.
    After(Duration),
}

impl From<SystemTime> for Due {
    fn from(at: SystemTime) -> Self {
        Self::At(at)
    }
}

impl From<Duration> for Due {
    fn from(after: Duration) -> Self {
        Self::After(after)
    }
}

//! Times as people write and read them.

use std::time::SystemTime;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::Serializer;

use crate::failure::{Failure, Result};

/// `time` in UTC to the millisecond, as in `2026-01-31T12:00:00.123Z`.
pub(crate) fn shown(time: SystemTime) -> String {
    match Timestamp::try_from(time) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => "beyond the year 9999".to_owned(),
    }
}

/// For [`serde`], as [`shown`].
pub(crate) fn serialize<S: Serializer>(
    time: &SystemTime,
    to: S,
) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_str(&shown(*time))
}

/// The same for a time that may be unknown.
#[expect(clippy::ref_option, reason = "serde passes it so")]
pub(crate) fn serialize_known<S: Serializer>(
    time: &Option<SystemTime>,
    to: S,
) -> std::result::Result<S::Ok, S::Error> {
    match time {
        Some(time) => serialize(time, to),
        None => to.serialize_none(),
    }
}

/// The day `days` after 1970-01-01, in UTC.
pub(crate) fn day(days: u64) -> String {
    let seconds = i64::try_from(days.saturating_mul(86_400)).unwrap_or(i64::MAX);
    match Timestamp::from_second(seconds) {
        Ok(time) => time.to_zoned_datetime(TimeZone::UTC).date().to_string(),
        Err(_) => "beyond 9999".to_owned(),
    }
}

/// Reads a time, a day (its beginning in UTC), or how long ago.
pub(crate) fn read(text: &str) -> Result<SystemTime> {
    if let Some(time) = text.parse().ok().and_then(system) {
        return Ok(time);
    }
    if let Ok(day) = text.parse::<Date>()
        && let Ok(time) = day.to_zoned_datetime(TimeZone::UTC)
        && let Some(time) = system(time.timestamp())
    {
        return Ok(time);
    }
    if let Ok(ago) = text.parse::<Span>()
        && let Ok(time) = Timestamp::now()
            .to_zoned_datetime(TimeZone::UTC)
            .checked_sub(ago)
        && let Some(time) = system(time.timestamp())
    {
        return Ok(time);
    }
    Err(Failure::Usage(format!(
        "`{}` is no time: write 2026-01-31T12:00:00Z, 2026-01-31, or how long ago, as 2h or 7d",
        eventfold_es::inspect::visible(text)
    )))
}

fn system(time: Timestamp) -> Option<SystemTime> {
    SystemTime::try_from(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_time_is_read_as_it_is_shown_and_a_day_begins_in_utc() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_225_600_123);
        assert_eq!(shown(time), "2026-01-01T00:00:00.123Z");
        assert_eq!(read(&shown(time)).unwrap(), time);
        assert_eq!(
            shown(read("2026-01-01").unwrap()),
            "2026-01-01T00:00:00.000Z"
        );
        assert_eq!(day(20_454), "2026-01-01");
        let ago = SystemTime::now()
            .duration_since(read("2h").unwrap())
            .unwrap();
        assert!(ago.as_secs().abs_diff(7200) < 60);
        assert!(read("7d").is_ok() && read("soon").is_err());
    }
}

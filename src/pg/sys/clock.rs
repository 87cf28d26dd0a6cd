//! The clock. Pure modules get the time from here, as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use pgrx::prelude::*;

/// Seconds between 1970 and 2000. Postgres counts from 2000.
const POSTGRES_EPOCH: i64 = 946_684_800;

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| {
        i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
    })
}

/// Converts seconds since 1970 into microseconds since 2000.
pub(crate) fn microseconds(seconds: f64) -> pg_sys::TimestampTz {
    ((seconds - POSTGRES_EPOCH as f64) * 1e6) as i64
}

/// How long ago a time was. Negative for one to come.
pub(crate) fn age_in_seconds(time: TimestampWithTimeZone) -> i64 {
    now().saturating_sub(seconds(time.into()))
}

/// Converts microseconds since 2000 into seconds since 1970.
pub(crate) const fn seconds(microseconds: pg_sys::TimestampTz) -> i64 {
    microseconds.div_euclid(1_000_000) + POSTGRES_EPOCH
}

/// Converts seconds since 1970 into an SQL value.
pub(crate) fn timestamp(seconds: f64) -> Option<TimestampWithTimeZone> {
    TimestampWithTimeZone::try_from(microseconds(seconds)).ok()
}

/// Reads a time as Postgres writes it in JSON, in seconds since 1970. A time without an offset is
/// in UTC; the session's time zone does not count, because anybody can set it.
pub(crate) fn parse(time: &str) -> Option<i64> {
    use std::str::FromStr;
    let has_offset = time
        .split_once('T')
        .is_none_or(|(_, rest)| rest.contains(['+', '-', 'Z']));
    let utc = if has_offset { "" } else { "Z" };
    let time = TimestampWithTimeZone::from_str(&format!("{time}{utc}")).ok()?;
    let time: pg_sys::TimestampTz = time.into();
    Some(seconds(time))
}

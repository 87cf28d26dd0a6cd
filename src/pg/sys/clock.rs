//! The clock, which the pure modules are given the time by.

use std::time::{SystemTime, UNIX_EPOCH};

use pgrx::prelude::*;

/// Seconds between 1970 and 2000, from where Postgres counts.
const POSTGRES_EPOCH: i64 = 946_684_800;

/// Seconds since 1970.
pub fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| {
        i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
    })
}

/// A time in seconds since 1970, in microseconds since 2000.
pub fn microseconds(seconds: f64) -> pg_sys::TimestampTz {
    ((seconds - POSTGRES_EPOCH as f64) * 1e6) as i64
}

/// A time in microseconds since 2000, in seconds since 1970.
pub const fn seconds(microseconds: pg_sys::TimestampTz) -> i64 {
    microseconds.div_euclid(1_000_000) + POSTGRES_EPOCH
}

/// A time in seconds since 1970 as a value of SQL.
pub fn timestamp(seconds: f64) -> Option<TimestampWithTimeZone> {
    TimestampWithTimeZone::try_from(microseconds(seconds)).ok()
}

/// Seconds since 1970 of a time in Postgres' own JSON spelling. One without an offset is UTC,
/// whatever the session's time zone, which is for anybody to set.
pub fn parse(time: &str) -> Option<i64> {
    use std::str::FromStr;
    let has_offset = time
        .split_once('T')
        .is_none_or(|(_, rest)| rest.contains(['+', '-', 'Z']));
    let utc = if has_offset { "" } else { "Z" };
    let time = TimestampWithTimeZone::from_str(&format!("{time}{utc}")).ok()?;
    let time: pg_sys::TimestampTz = time.into();
    Some(seconds(time))
}

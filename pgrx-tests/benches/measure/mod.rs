//! Code that the benchmarks share.

use std::time::Instant;

/// Runs something and returns the seconds that it took.
pub(crate) fn time<T>(run: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = run();
    (start.elapsed().as_secs_f64(), result)
}

/// The median.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The median of the ratios of rounds.
pub(crate) fn ratio(one: &[f64], other: &[f64]) -> f64 {
    median(
        &one.iter()
            .zip(other)
            .map(|(one, other)| one / other)
            .collect::<Vec<_>>(),
    )
}

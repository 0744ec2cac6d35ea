//! The latencies as a log of histograms, one for each interval, that HdrHistogram's own tools read.

use std::io::Write;
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;

use super::timeline::Timeline;

/// Values are microseconds; the column of maxima is in milliseconds, as in those tools.
const MICROS_PER_MILLI: f64 = 1e3;

/// Writes the log of a run whose measured part began at this time.
///
/// # Errors
/// Says what could not be written.
pub(crate) fn write_histogram_log(
    timeline: &Timeline,
    began: SystemTime,
    out: &mut impl Write,
) -> Result<(), String> {
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    let log = builder
        .add_comment("latencies of good answers in microseconds")
        .with_start_time(began)
        .with_base_time(began)
        .with_max_value_divisor(MICROS_PER_MILLI)
        .begin_log_with(out, &mut serializer);
    let mut log = log.map_err(|error| error.to_string())?;
    for (index, interval) in timeline.intervals.iter().enumerate() {
        let start: Duration = timeline.length * index as u32;
        log.write_histogram(&interval.latencies, start, timeline.length, None)
            .map_err(|error| format!("{error:?}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::load::peer::Outcome;

    #[test]
    fn the_log_is_read_back() {
        let mut timeline = Timeline::new(Duration::from_secs(3));
        for (millis, latency) in [(100, 5), (200, 7), (2_500, 900)] {
            let latency = Duration::from_millis(latency);
            timeline.record(Duration::from_millis(millis), Outcome::Ok, latency);
        }
        let mut log = Vec::new();
        write_histogram_log(
            &timeline,
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_000),
            &mut log,
        )
        .unwrap();
        let mut found = Vec::new();
        for entry in IntervalLogIterator::new(&log) {
            if let LogEntry::Interval(interval) = entry.unwrap() {
                let bytes = STANDARD.decode(interval.encoded_histogram()).unwrap();
                let histogram: Histogram<u32> =
                    Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
                let start = interval.start_timestamp().as_secs();
                found.push((
                    start,
                    histogram.len(),
                    histogram.max() / 1_000,
                    interval.max().round(),
                ));
            }
        }
        assert_eq!(found, [(0, 2, 7, 7.0), (1, 0, 0, 0.0), (2, 1, 901, 901.0)]);
    }
}

//! Counters, histograms and the report.

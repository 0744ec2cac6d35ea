//! Pages that show figures: one self-contained HTML file each, and plots for a terminal.
//!
//! A page needs no network and no script, is light or dark as its reader is, can be printed, and has a table of numbers
//! beside every curve, so that nothing is in a picture alone. All text that comes from elsewhere is escaped on its way
//! into [`Html`], which takes only literals as they are. Charts know numbers and names; what they show, and in which
//! words, is for those who have the figures.

mod chart;
mod html;
mod latencies;
#[cfg(feature = "cli")]
mod plot;
mod scale;

pub(crate) use html::{Html, Page, Table};
pub(crate) use latencies::{Named, by_percentile, time, time_of};
#[cfg(feature = "cli")]
pub(crate) use {
    chart::{Chart, Mark, Series, cut},
    latencies::{rate, share},
    plot::plot,
    scale::Scale,
};

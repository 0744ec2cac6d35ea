//! Whether the kernel is new enough.

use super::line::{Line, Verdict, line};
use crate::config::host::Host;

/// `SINGLE_ISSUER` came with 6.0, provided-buffer rings with 5.19.
const KERNEL_MIN: (u32, u32) = (6, 0);

pub(super) fn kernel(host: &Host) -> Line {
    let release = host.kernel_release.escape_debug();
    let (major, minor) = KERNEL_MIN;
    match parse_release(&host.kernel_release) {
        Some(version) if version >= KERNEL_MIN => line(Verdict::Ok, "kernel", format!("Linux {release}")),
        Some(_) => line(
            Verdict::Missing,
            "kernel",
            format!(
                "Linux {release} is too old, {major}.{minor} is the oldest that works; boot a newer kernel"
            ),
        ),
        None => line(
            Verdict::Warning,
            "kernel",
            format!(
                "the release `{release}` is not a version number; {major}.{minor} is the oldest that works, see `uname -r`"
            ),
        ),
    }
}

/// Parses `6.18.44-generic` as (6, 18).
pub(super) fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

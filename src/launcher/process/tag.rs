//! A mark that all descendants of a child keep, whatever they do: leave the session, lose their parent, clear their
//! environment, become another user's.
//!
//! It is a resource limit, because limits are inherited, cannot be raised without privileges, and may be read by
//! anybody in `/proc/PID/limits`; an environment variable can be neither read nor relied upon in programs that change
//! their identity. The limit is that of CPU time of real-time threads, in microseconds: 146,000 years less the child's
//! number, so it limits nobody.
//! It is set only where there was no limit: below a server that is itself somebody's child, the mark of that one stays.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit};

/// The resource whose limit is the mark.
pub(in crate::launcher) const RESOURCE: Resource = Resource::Rttime;
/// Children are counted down from here.
const BASE: u64 = 1 << 62;
/// Numbers of children end here, as marks.
const CHILDREN_MAX: u64 = 1 << 40;
/// The limit's name in `/proc/PID/limits`.
const NAME: &str = "Max realtime timeout";

/// Whether this process's children can have marks.
pub(super) fn is_possible() -> bool {
    getrlimit(RESOURCE).maximum.is_none()
}

/// The limit that marks a child's processes.
pub(super) fn limit(child: u64) -> Option<Rlimit> {
    (child < CHILDREN_MAX).then(|| Rlimit {
        current: Some(BASE - child),
        maximum: Some(BASE - child),
    })
}

/// The child whose mark a process has.
pub(super) fn child_of(pid: i32) -> Option<u64> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    parse(&limits)
}

fn parse(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(NAME))?;
    let hard: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    BASE.checked_sub(hard).filter(|child| *child < CHILDREN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_were_set() {
        let set = limit(77).unwrap().maximum.unwrap();
        let text = |soft: &str, hard: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max realtime priority     0                    0                    \n\
                 Max realtime timeout      {soft:<20} {hard:<20} us        \n"
            )
        };
        assert_eq!(parse(&text("5", &set.to_string())), Some(77));
        assert_eq!(parse(&text("unlimited", "unlimited")), None);
        assert_eq!(parse(&text("200000", "200000")), None);
        assert_eq!(parse(""), None);
        assert_eq!(limit(CHILDREN_MAX), None);
    }
}

//! Whether other programs that are to be served are there, for `weir doctor`.

use rustix::thread::CapabilitySet;

use crate::config::{ChildServer, Line, Settings, Verdict};
use crate::server::user_of;

/// The topic of lines about programs.
const PROGRAM: &str = "program";
/// The topic of the line about their pipes.
const PIPES: &str = "pipes";
/// Pipes of a child.
const PIPES_EACH: u64 = 3;
/// Pages of a pipe that has its usual size.
const PIPE_PAGES: u64 = 16;
const PIPE_PAGES_FILE: &str = "/proc/sys/fs/pipe-user-pages-soft";

/// What there is to say about the programs of these settings.
pub(super) fn lines(settings: &Settings) -> Vec<Line> {
    let children = &settings.children;
    let mut lines: Vec<Line> = children.servers.iter().map(line).collect();
    let most = children
        .servers
        .iter()
        .map(|server| server.pool.max(children.cpu_count));
    let most = most.map(u64::from).sum();
    let pages_max = std::fs::read_to_string(PIPE_PAGES_FILE).ok();
    let pages_max = pages_max.and_then(|text| text.trim().parse().ok());
    lines.extend(
        pages_max
            .filter(|_| !is_exempt())
            .and_then(|max| pipes_line(most, max)),
    );
    lines
}

fn line(server: &ChildServer) -> Line {
    let user = match user_of(server) {
        Ok(user) => user,
        Err(error) => {
            return Line {
                topic: PROGRAM,
                verdict: Verdict::Missing,
                text: format!("{}: {error}", server.name),
            };
        }
    };
    let spec = server.spec(std::env::vars_os(), user);
    let (name, program) = (&server.name, server.command.escape_debug());
    let (verdict, text) = match (spec.file(), &server.cwd) {
        _ if spec.limits.access.check().is_err() => {
            let why = spec.limits.access.check().err().unwrap_or_default();
            (Verdict::Missing, format!("{name}: {why}"))
        }
        (_, Some(cwd)) if !cwd.is_dir() => {
            let cwd = cwd.display();
            (
                Verdict::Missing,
                format!("{name} is to start in {cwd}, which is no directory; make it, or correct `cwd`"),
            )
        }
        (Some(file), _) => (Verdict::Ok, format!("{name} is {}", file.display())),
        (None, _) if server.command.contains('/') => (
            Verdict::Missing,
            format!(
                "{name}: {program} is no file that can be executed; correct the path, or make it executable"
            ),
        ),
        (None, _) => (
            Verdict::Missing,
            format!("{name}: {program} is in no directory of the PATH; install it, or name it by its path"),
        ),
    };
    Line {
        verdict,
        topic: PROGRAM,
        text,
    }
}

/// Whether the kernel counts no pipes of this process's.
fn is_exempt() -> bool {
    let exempt = CapabilitySet::SYS_RESOURCE | CapabilitySet::SYS_ADMIN;
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.intersects(exempt))
}

/// Without privileges one user's pipes are small beyond so many pages: lines then travel in pieces.
fn pipes_line(children: u64, pages_max: u64) -> Option<Line> {
    let whole = pages_max / PIPE_PAGES / PIPES_EACH;
    if children <= whole || pages_max == 0 {
        return None;
    }
    let text = format!(
        "{children} processes may run, and beyond {whole} of one user the kernel gives them pipes of 8 KiB instead of 64, \
         which is slower; for more: `sysctl -w fs.pipe-user-pages-soft={}`",
        children * PIPE_PAGES * PIPES_EACH
    );
    Some(Line {
        verdict: Verdict::Warning,
        topic: PIPES,
        text,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::PoolSettings;

    fn told(command: &str, cwd: Option<&str>) -> (Verdict, String) {
        let server = ChildServer {
            name: "a".to_owned(),
            command: command.to_owned(),
            args: Vec::new(),
            env: BTreeMap::new(),
            cwd: cwd.map(Into::into),
            pool: PoolSettings::default(),
        };
        let line = line(&server);
        (line.verdict, line.text)
    }

    #[test]
    fn a_program_is_there_or_it_is_said_what_to_do() {
        let (verdict, text) = told("sh", None);
        assert!(verdict == Verdict::Ok && text.ends_with("/sh"), "{text}");
        for (command, cwd, why) in [
            ("no-such-program", None, "in no directory of the PATH"),
            ("/etc/passwd", None, "no file that can be executed"),
            ("./sh", Some("/etc"), "no file that can be executed"),
            ("sh", Some("/nonexistent"), "no directory"),
        ] {
            let (verdict, text) = told(command, cwd);
            assert!(verdict == Verdict::Missing && text.contains(why), "{text}");
        }
    }

    #[test]
    fn pipes_that_would_be_small_are_told() {
        assert_eq!(pipes_line(341, 16_384), None);
        let line = pipes_line(342, 16_384).unwrap();
        assert!(
            line.text.contains("beyond 341") && line.text.ends_with("=16416`"),
            "{line}"
        );
        assert_eq!(pipes_line(342, 0), None, "it is off");
    }
}

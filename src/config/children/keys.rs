//! Reads the settings of a pool, from an object of a file or from `KEY=VALUE,…`.
//!
//! Every refusal is a sentence about the key, the value, and what to write instead.

use std::time::Duration;

use serde_json::{Map, Value};

use super::pool::{AnonymousClients, ChildEra, LossPolicy, PoolMode, PoolSettings, RetryPolicy};
use super::values::{
    Refusal, choice, count, duration, env_source, flag, header, object, or_auto, or_off, or_word, paths,
    ports, rlimit, shown, size, texts, user, warmup,
};
use crate::config::nearest::nearest;

type Read = fn(&mut PoolSettings, &Value) -> Result<(), Refusal>;

/// The key that belongs to the server rather than to the pool; the reader of files takes it.
pub(super) const ENV: &str = "env";

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The most a duration can be that is still one: none of these are kept for longer than a process lives.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Every key and how it is read.
const KEYS: [(&str, Read); 35] = [
    ("mode", |pool, value| {
        let modes = [
            ("shared", PoolMode::Shared),
            ("session", PoolMode::Session),
            ("call", PoolMode::Call),
        ];
        choice(value, &modes).map(|mode| pool.mode = mode)
    }),
    ("anonymous", |pool, value| {
        let choices = [
            ("auto", None),
            ("one", Some(AnonymousClients::One)),
            ("call", Some(AnonymousClients::Call)),
        ];
        choice(value, &choices).map(|anonymous| pool.anonymous = anonymous)
    }),
    ("min_idle", |pool, value| {
        count(value, 0, 1024).map(|count| pool.min_idle = count)
    }),
    ("max", |pool, value| {
        or_auto(value, |value| count(value, 1, 10_000)).map(|max| pool.max = max)
    }),
    ("max_in_flight", |pool, value| {
        or_auto(value, |value| count(value, 1, 65_536)).map(|max| pool.max_in_flight = max)
    }),
    ("queue_depth", |pool, value| {
        or_auto(value, |value| count(value, 0, 1_000_000)).map(|depth| pool.queue_depth = depth)
    }),
    ("queue_timeout", |pool, value| {
        or_auto(value, |value| duration(value, MILLISECOND, HOUR)).map(|timeout| pool.queue_timeout = timeout)
    }),
    ("start_timeout", |pool, value| {
        duration(value, 100 * MILLISECOND, HOUR).map(|timeout| pool.start_timeout = timeout)
    }),
    ("first_start_timeout", |pool, value| {
        duration(value, 100 * MILLISECOND, DAY).map(|timeout| pool.first_start_timeout = timeout)
    }),
    ("call_timeout", |pool, value| {
        duration(value, 100 * MILLISECOND, DAY).map(|timeout| pool.call_timeout = timeout)
    }),
    ("cancel_grace", |pool, value| {
        duration(value, Duration::ZERO, 5 * MINUTE).map(|grace| pool.cancel_grace = grace)
    }),
    ("stop_grace", |pool, value| {
        duration(value, Duration::ZERO, 5 * MINUTE).map(|grace| pool.stop_grace = grace)
    }),
    (ENV, |_, _| Err("is possible only in a file".to_owned())),
    ("inherit", |pool, value| {
        texts(value).map(|names| pool.inherit = names.into_iter().filter(|name| name != "none").collect())
    }),
    ("message_max", |pool, value| {
        size(value, 4 << 10, 1 << 30).map(|bytes| pool.message_bytes_max = bytes)
    }),
    ("key_header", |pool, value| {
        or_word("none", value, header).map(|name| pool.key_header = name)
    }),
    ("skip", |pool, value| flag(value).map(|skip| pool.skip = skip)),
    ("list_ttl", |pool, value| {
        duration(value, SECOND, DAY).map(|ttl| pool.list_ttl = ttl)
    }),
    ("idle_timeout", |pool, value| {
        let timeout = or_off(value, |value| duration(value, SECOND, YEAR))?;
        pool.idle_timeout = Some(timeout.unwrap_or_default());
        Ok(())
    }),
    ("recycle_calls", |pool, value| {
        or_off(value, |value| count(value, 1, u32::MAX)).map(|calls| pool.recycle_calls = calls)
    }),
    ("recycle_age", |pool, value| {
        or_off(value, |value| duration(value, SECOND, YEAR)).map(|age| pool.recycle_age = age)
    }),
    ("rss_max", |pool, value| {
        or_off(value, |value| size(value, 1 << 20, 1 << 50)).map(|bytes| pool.rss_bytes_max = bytes)
    }),
    ("pids_max", |pool, value| {
        let processes = or_off(value, |value| count(value, 1, 4 << 20))?;
        pool.pids_max = processes.map(u64::from);
        Ok(())
    }),
    ("interactive", |pool, value| {
        flag(value).map(|interactive| pool.interactive = interactive)
    }),
    ("warmup", |pool, value| {
        or_off(value, warmup).map(|warmup| pool.warmup = warmup)
    }),
    ("env_from", |pool, value| {
        for (name, source) in object(value)? {
            let source = env_source(name, source)?;
            pool.env_from.insert(name.clone(), source);
        }
        Ok(())
    }),
    ("retry", |pool, value| {
        let choices = [("off", RetryPolicy::Off), ("read_only", RetryPolicy::ReadOnly)];
        choice(value, &choices).map(|retry| pool.retry = retry)
    }),
    ("on_loss", |pool, value| {
        let choices = [("404", LossPolicy::NotFound), ("restart", LossPolicy::Restart)];
        choice(value, &choices).map(|on_loss| pool.on_loss = on_loss)
    }),
    ("era", |pool, value| {
        let choices = [
            ("auto", None),
            ("legacy", Some(ChildEra::Legacy)),
            ("modern", Some(ChildEra::Modern)),
        ];
        choice(value, &choices).map(|era| pool.era = era)
    }),
    ("unwrap", |pool, value| {
        flag(value).map(|unwrap| pool.unwrap = unwrap)
    }),
    ("user", |pool, value| {
        user(value).map(|user| pool.user = Some(user))
    }),
    ("rlimits", |pool, value| {
        for (name, limit) in object(value)? {
            let limit = rlimit(name, limit)?;
            pool.rlimits.insert(name.clone(), limit);
        }
        Ok(())
    }),
    ("read", |pool, value| {
        paths(value).map(|paths| pool.read = Some(paths))
    }),
    ("write", |pool, value| {
        paths(value).map(|paths| pool.write = Some(paths))
    }),
    ("tcp", |pool, value| {
        ports(value).map(|ports| pool.tcp = Some(ports))
    }),
];

/// Reads `KEY=VALUE,…` into a pool's settings. Lists and objects are possible only in files.
///
/// # Errors
/// Fails with a sentence for each key that is unknown, value that is refused, or pair of settings that do not fit.
pub(super) fn read_pool(pool: &mut PoolSettings, text: &str) -> Result<(), Vec<String>> {
    let mut refusals = Vec::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some((key, value)) => {
                let value = Value::String(value.trim().to_owned());
                refusals.extend(read_key(pool, key.trim(), &value).err());
            }
            None => refusals.push(format!(
                "`{pair}` is no KEY=VALUE; write for example `mode=shared,max=4`"
            )),
        }
    }
    settled(pool, refusals)
}

/// Reads an object of a file into a pool's settings, but for [`ENV`].
///
/// # Errors
/// As [`read_pool`].
pub(super) fn read_object(pool: &mut PoolSettings, object: &Map<String, Value>) -> Result<(), Vec<String>> {
    let mut refusals = Vec::new();
    for (key, value) in object.iter().filter(|(key, _)| *key != ENV) {
        refusals.extend(read_key(pool, key, value).err());
    }
    settled(pool, refusals)
}

fn settled(pool: &PoolSettings, mut refusals: Vec<String>) -> Result<(), Vec<String>> {
    if refusals.is_empty() {
        refusals = pool.conflicts();
    }
    if refusals.is_empty() {
        Ok(())
    } else {
        Err(refusals)
    }
}

fn read_key(pool: &mut PoolSettings, key: &str, value: &Value) -> Result<(), String> {
    match KEYS.iter().find(|(known, _)| *known == key) {
        Some((_, read)) => read(pool, value).map_err(|refusal| {
            // Objects are long, and may hold secrets.
            let shown = if value.is_object() {
                "…".to_owned()
            } else {
                shown(value)
            };
            format!("`{key}` = {shown} {refusal}")
        }),
        None => Err(unknown(key)),
    }
}

fn unknown(key: &str) -> String {
    let names: Vec<String> = KEYS.iter().map(|(name, _)| name.replace('_', "-")).collect();
    match nearest(key, names.iter().map(String::as_str)) {
        Some(meant) => format!(
            "`{key}` is no setting of a pool; did you mean `{}`?",
            meant.replace('-', "_")
        ),
        None => {
            let names: Vec<&str> = KEYS.iter().map(|(name, _)| *name).collect();
            format!("`{key}` is no setting of a pool; there are {}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::children::pool::{EnvSource, Rlimit};
    use crate::config::listen::Account;

    fn read(text: &str) -> Result<PoolSettings, Vec<String>> {
        let mut pool = PoolSettings::default();
        read_pool(&mut pool, text).map(|()| pool)
    }

    fn of_json(text: &str) -> Result<PoolSettings, Vec<String>> {
        let mut pool = PoolSettings::default();
        let value: Value = serde_json::from_str(text).unwrap();
        read_object(&mut pool, value.as_object().unwrap()).map(|()| pool)
    }

    #[test]
    fn defaults_are_those_of_the_mode() {
        let session = read("").unwrap();
        assert_eq!(session, PoolSettings::default());
        assert_eq!((session.max(4), session.in_flight_max()), (64, 64));
        assert_eq!(session.idle_timeout(), Some(30 * MINUTE));
        let shared = read("mode=shared").unwrap();
        assert_eq!(
            (shared.max(4), shared.in_flight_max(), shared.idle_timeout()),
            (4, 64, None)
        );
        let interactive = read("mode=shared, interactive=true").unwrap();
        assert_eq!(interactive.in_flight_max(), 1);
        let call = read("mode=call,max=7").unwrap();
        assert_eq!((call.max(4), call.in_flight_max()), (7, 1));
        assert_eq!(read("idle_timeout=off").unwrap().idle_timeout(), None);
        assert_eq!(
            read("idle_timeout=1m,mode=shared").unwrap().idle_timeout(),
            Some(MINUTE)
        );
    }

    #[test]
    fn texts_set_single_values() {
        let pool = read(
            "min_idle=2,max=8,max_in_flight=16,queue_depth=100,queue_timeout=10s,start_timeout=5s,\
             first_start_timeout=10m,call_timeout=1h,cancel_grace=0,stop_grace=500ms,inherit=*,message_max=1MiB,\
             key_header=X-Key,list_ttl=1m,recycle_calls=1000,recycle_age=1h,rss_max=512MiB,pids_max=50,warmup=echo,\
             retry=read_only,on_loss=restart,era=modern,unwrap=off,user=nobody:65534,anonymous=one",
        )
        .unwrap();
        assert_eq!(
            (pool.min_idle, pool.max, pool.max_in_flight),
            (2, Some(8), Some(16))
        );
        assert_eq!(
            (pool.queue_depth, pool.queue_timeout),
            (Some(100), Some(10 * SECOND))
        );
        assert_eq!((pool.call_timeout, pool.cancel_grace), (HOUR, Duration::ZERO));
        assert_eq!(
            (pool.message_bytes_max, pool.rss_bytes_max),
            (1 << 20, Some(512 << 20))
        );
        assert_eq!(
            (pool.inherit, pool.key_header),
            (vec!["*".to_owned()], Some("x-key".to_owned()))
        );
        assert_eq!(
            (pool.retry, pool.on_loss),
            (RetryPolicy::ReadOnly, LossPolicy::Restart)
        );
        assert_eq!((pool.era, pool.unwrap), (Some(ChildEra::Modern), false));
        assert_eq!(pool.warmup.unwrap().tool, "echo");
        assert_eq!(
            pool.user,
            Some((Account::Name("nobody".to_owned()), Some(Account::Id(65534))))
        );
    }

    #[test]
    fn objects_set_everything() {
        let pool = of_json(
            r#"{"mode": "call", "max": 3, "call_timeout": "10s", "inherit": ["A", "B"], "rss_max": 1073741824,
                "warmup": {"tool": "echo", "arguments": {"message": "x"}}, "skip": false, "on_loss": 404,
                "env_from": {"GITHUB_TOKEN": "header:X-GitHub-Token"}, "env": {"A": "1"},
                "rlimits": {"nofile": [256, 512], "as": "2GiB", "core": "unlimited"},
                "read": ["/usr"], "write": ["/tmp"], "tcp": [443, 80]}"#,
        )
        .unwrap();
        assert_eq!(pool.inherit, ["A", "B"]);
        assert_eq!(pool.warmup.unwrap().arguments["message"], "x");
        assert_eq!(
            pool.env_from["GITHUB_TOKEN"],
            EnvSource::Header("x-github-token".to_owned())
        );
        let limit = |soft, hard| Rlimit { soft, hard };
        assert_eq!(pool.rlimits["nofile"], limit(Some(256), Some(512)));
        assert_eq!(pool.rlimits["as"], limit(Some(2 << 30), Some(2 << 30)));
        assert_eq!(pool.rlimits["core"], limit(None, None));
        assert_eq!(
            (pool.tcp, pool.read),
            (Some(vec![443, 80]), Some(vec!["/usr".into()]))
        );
    }

    #[test]
    fn refusals_name_key_value_and_remedy() {
        let cases = [
            (
                "mdoe=shared",
                "`mdoe` is no setting of a pool; did you mean `mode`?",
            ),
            ("max_inflight=1", "did you mean `max_in_flight`?"),
            ("zzz=1", "there are mode, anonymous"),
            (
                "mode=all",
                "`mode` = all is unknown; write `shared` or `session` or `call`",
            ),
            (
                "max=0",
                "`max` = 0 is not possible; write a whole number from 1 to 10000, or `auto`",
            ),
            ("max=1.5", "`max` = 1.5 is not possible"),
            ("call_timeout=30", "has no unit"),
            ("call_timeout=2d", "is out of bounds; write from 100ms to 24h"),
            ("rss_max=5", "is out of bounds"),
            ("env=A", "`env` = A is possible only in a file"),
            ("env_from=A", "possible only in a file"),
            ("skip=maybe", "neither true nor false"),
            ("key_header=Authorization", "never passed on"),
            ("key_header=a b", "is not the name of a header"),
            ("user=a b", "is no user"),
            ("shared", "`shared` is no KEY=VALUE"),
            ("tcp=70000", "is not a list of ports"),
            ("read=relative", "does not begin with `/`"),
        ];
        for (text, expected) in cases {
            let refusals = read(text).unwrap_err();
            assert!(refusals[0].contains(expected), "{text}: {refusals:?}");
        }
        assert_eq!(read("max=0,min_idle=x").unwrap_err().len(), 2);
    }

    #[test]
    fn settings_that_do_not_fit_are_refused() {
        for text in [
            "interactive=on",
            "mode=shared,key_header=X-Key",
            "mode=call,max_in_flight=2",
            "max=1,min_idle=2",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        let shared = r#"{"mode": "shared", "env_from": {"A": "header:X-A"}}"#;
        assert!(of_json(shared).unwrap_err()[0].contains("children of their own"));
    }

    #[test]
    fn clients_set_no_variables_that_run_programs() {
        for name in [
            "PATH",
            "LD_PRELOAD",
            "NODE_OPTIONS",
            "PYTHONPATH",
            "BASH_ENV",
            "path",
            "npm_config_x",
            "A-B",
            "",
        ] {
            let text = format!(r#"{{"env_from": {{"{name}": "header:X-A"}}}}"#);
            assert!(of_json(&text).is_err(), "{name}");
        }
        for source in [
            "header:Authorization",
            "header:Cookie",
            "X-A",
            "header:",
            "header:a b",
        ] {
            let text = format!(r#"{{"env_from": {{"A": "{source}"}}}}"#);
            assert!(of_json(&text).is_err(), "{source}");
        }
    }

    #[test]
    fn limits_are_checked() {
        for limits in [
            r#"{"files": 1}"#,
            r#"{"nofile": [2, 1]}"#,
            r#"{"nofile": "x"}"#,
            r#"{"nofile": [1]}"#,
            "7",
        ] {
            assert!(
                of_json(&format!(r#"{{"rlimits": {limits}}}"#)).is_err(),
                "{limits}"
            );
        }
    }

    #[test]
    fn objects_are_not_repeated_in_refusals() {
        let refusals = of_json(r#"{"warmup": {"secret": "x"}}"#).unwrap_err();
        assert!(!refusals[0].contains("secret"), "{refusals:?}");
    }
}

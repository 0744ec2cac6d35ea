//! The hosts that requests may name, and the origins that may send them.

use super::*;

#[test]
fn origins_on_loopback() {
    assert_eq!(post(&[]), Ok(Endpoint::Post));
    for origin in [
        "http://localhost:8080",
        "http://127.0.0.1:6274",
        "http://[::1]",
        "https://localhost",
        "HTTP://LOCALHOST",
        "http://[0:0:0:0:0:0:0:1]:5",
    ] {
        assert_eq!(post_with("Origin", origin), Ok(Endpoint::Post), "{origin}");
    }
    for origin in [
        "http://evil.example",
        "null",
        "",
        "file://",
        "http://127.0.0.1:8080.evil.example",
        "http://localhost.evil.example",
        "http://evil.example:80",
        "http://evillocalhost",
        "http://localhost@evil.example",
        "localhost",
        "//localhost",
        "http://localhost/",
        "http://localhost:8080/x",
        "http://localhost evil",
        "ftp://localhost",
        "http://127.0.0.2",
        "http://localhost, http://localhost",
        "chrome-extension://abc",
        "http://localhost.",
        "http:localhost",
        "http://2130706433",
        "http://[::ffff:127.0.0.1]",
    ] {
        assert_eq!(post_with("Origin", origin), Err(Refusal::Origin), "{origin}");
    }
    let twice = [
        ("Origin", Some("http://localhost")),
        ("origin", Some("http://localhost")),
    ];
    assert_eq!(post(&twice), Err(Refusal::Origin));
}

#[test]
fn hosts_on_loopback() {
    for host in [
        "localhost",
        "LocalHost:1",
        "127.0.0.1:8080",
        "[::1]:8080",
        "localhost:",
    ] {
        assert_eq!(post_with("Host", host), Ok(Endpoint::Post), "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:8080",
        "192.0.2.1",
        "localhost.evil.example",
        "evil-localhost",
        "127.0.0.1.evil.example",
        "127.0.0.10",
        "[::2]",
        "%6cocalhost",
        "localhost.",
    ] {
        assert_eq!(post_with("Host", host), Err(Refusal::Host), "{host}");
    }
    let loopback = loopback();
    let absolute = |target: &str, host| {
        admit(
            &loopback,
            &format!("POST {target} HTTP/1.1"),
            &[("Host", Some(host))],
        )
    };
    assert_eq!(
        absolute("http://localhost/mcp", "evil.example"),
        Ok(Endpoint::Post)
    );
    assert_eq!(
        absolute("http://evil.example/mcp", "localhost"),
        Err(Refusal::Host)
    );
    assert_eq!(
        admit(&loopback, "POST /mcp HTTP/1.0", &[("Host", None)]),
        Err(Refusal::Host)
    );
    assert_eq!(
        admit(&policy(&["*"], &[]), "POST /mcp HTTP/1.0", &[("Host", None)]),
        Ok(Endpoint::Post)
    );
}

#[test]
fn configured_hosts_and_origins() {
    let policy = policy(
        &["mcp.example", "other.example:8443"],
        &[
            "https://app.example",
            "http://dev.example:*",
            "http://x.example:8080",
            "vscode-webview://abc",
        ],
    );
    let admit_from = |host: &str, origin: &str| {
        admit(
            &policy,
            "POST /mcp HTTP/1.1",
            &[("Host", Some(host)), ("Origin", Some(origin))],
        )
    };
    for (host, origin) in [
        ("mcp.example", "https://app.example"),
        ("MCP.example:99", "https://APP.example:443"),
        ("other.example:8443", "http://dev.example"),
        ("mcp.example", "http://dev.example:5173"),
        ("mcp.example", "http://x.example:8080"),
        ("mcp.example", "vscode-webview://abc"),
    ] {
        assert_eq!(admit_from(host, origin), Ok(Endpoint::Post), "{host} {origin}");
    }
    for (host, origin, refusal) in [
        ("mcp.example", "https://app.example:8443", Refusal::Origin),
        ("mcp.example", "http://app.example", Refusal::Origin),
        ("mcp.example", "https://dev.example", Refusal::Origin),
        ("mcp.example", "http://x.example", Refusal::Origin),
        ("mcp.example", "vscode-webview://abc:1", Refusal::Origin),
        ("other.example", "https://app.example", Refusal::Host),
        ("other.example:1", "https://app.example", Refusal::Host),
        ("localhost", "https://app.example", Refusal::Host),
    ] {
        assert_eq!(admit_from(host, origin), Err(refusal), "{host} {origin}");
    }
}

#[test]
fn a_star_admits_everything() {
    let open = policy(&["*"], &["*"]);
    for origin in ["null", "http://evil.example", "garbage"] {
        let changes = [("Host", Some("any.example")), ("Origin", Some(origin))];
        assert_eq!(admit(&open, "POST /mcp HTTP/1.1", &changes), Ok(Endpoint::Post));
    }
    let closed = policy(&[], &[]);
    assert_eq!(admit(&closed, "POST /mcp HTTP/1.1", &[]), Err(Refusal::Host));
}

#[test]
fn settings_that_could_never_match() {
    let error =
        |path: &str, host: &str, origin: &str| AdmissionPolicy::new(path, [host], [origin], 1).map(drop);
    assert_eq!(error("/mcp", "*", "*"), Ok(()));
    for host in ["", "a b", "http://a", "*.example.com", "[::1", "a:99999"] {
        assert_eq!(error("/mcp", host, "*"), Err(HostRulesError(host.into()).into()));
    }
    for origin in [
        "",
        "null",
        "localhost",
        "http://",
        "http://a/",
        "http://*.a",
        "http://a:*:*",
        "*://a",
    ] {
        assert_eq!(
            error("/mcp", "*", origin),
            Err(AdmissionPolicyError::Origin(origin.into()))
        );
    }
    for path in ["", "mcp", "/a b", "/a?b"] {
        assert_eq!(
            error(path, "*", "*"),
            Err(AdmissionPolicyError::Path(path.into()))
        );
    }
}

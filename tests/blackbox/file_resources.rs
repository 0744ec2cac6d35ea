//! Files as resources over the wire: which are listed, read and completed, and that nothing outside the root is.

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Dialect, Response, Scratch, Server, case, eras};

/// A text outside the root that must never be seen.
const SECRET: &str = "SECRET-91b0aa";

struct Served {
    folder: Scratch,
    server: Server,
}

impl Served {
    fn new(name: &str) -> Self {
        let folder = Scratch::new(name);
        let base = folder.path();
        let root = base.join("root");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        let write = |path: &str, text: &[u8]| std::fs::write(base.join(path), text).unwrap();
        write("secret.txt", SECRET.as_bytes());
        write("root/hello.txt", b"hello from inside\n");
        write("root/sub/deep file.rs", b"fn deep() {}\n");
        write("root/binary", b"a\0b");
        write("root/large", &vec![b'x'; (1 << 20) + 1]);
        symlink(base.join("secret.txt"), root.join("link")).unwrap();
        symlink("..", root.join("up")).unwrap();
        let server = Server::start(&["--toolset", "files", "--root", root.to_str().unwrap()]);
        Self { folder, server }
    }

    fn read(&self, dialect: &Dialect, uri: &str) -> Response {
        let mut request = dialect.request("read", "resources/read", json!({"uri": uri}));
        if !uri.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            // Only the body can carry a name that no header can; then there is a mismatch, and nothing is read.
            request = request.with("Mcp-Name", "unspeakable");
        }
        let answer = self.server.ask(&request);
        assert!(!String::from_utf8_lossy(&answer.body).contains(SECRET));
        answer
    }

    fn completed(&self, dialect: &Dialect, typed: &str) -> Value {
        let params = json!({
            "ref": {"type": "ref/resource", "uri": "file:///{+path}"},
            "argument": {"name": "path", "value": typed},
        });
        let answer = self
            .server
            .ask(&dialect.request(1, "completion/complete", params));
        answer.result()["completion"]["values"].clone()
    }
}

#[test]
fn files_are_listed_read_and_completed() {
    let served = Served::new("file-resources");
    for dialect in eras() {
        let listed = served
            .server
            .ask(&dialect.request(1, "resources/list", json!({})));
        let resources = listed.result()["resources"].as_array().unwrap();
        let uris: Vec<&str> = resources
            .iter()
            .map(|resource| resource["uri"].as_str().unwrap())
            .collect();
        assert_eq!(uris, ["file:///binary", "file:///hello.txt", "file:///large"]);
        assert_eq!(resources[1]["size"], 18);
        let templates = served
            .server
            .ask(&dialect.request(2, "resources/templates/list", json!({})));
        assert_eq!(
            templates.result()["resourceTemplates"][0]["uriTemplate"],
            "file:///{+path}"
        );
        for (uri, contents) in [
            (
                "file:///hello.txt",
                json!({"mimeType": "text/plain", "text": "hello from inside\n"}),
            ),
            (
                "file:///sub/deep%20file.rs",
                json!({"mimeType": "text/x-rust", "text": "fn deep() {}\n"}),
            ),
            (
                "file:///binary",
                json!({"mimeType": "application/octet-stream", "blob": "YQBi"}),
            ),
        ] {
            let mut contents = contents;
            contents["uri"] = json!(uri);
            assert_eq!(served.read(&dialect, uri).result()["contents"], json!([contents]));
        }
        let large = served.read(&dialect, "file:///large");
        let error = large.assert_error(200, -32603, "read");
        assert!(error["message"].as_str().unwrap().contains("1048577 bytes"));
        assert_eq!(served.completed(&dialect, "s"), json!(["sub/"]));
        assert_eq!(served.completed(&dialect, "sub/d"), json!(["sub/deep file.rs"]));
        for outside in ["../", "up/", "/", "up/s"] {
            assert_eq!(served.completed(&dialect, outside), json!([]), "{outside}");
        }
    }
    std::fs::remove_file(served.folder.path().join("root/hello.txt")).unwrap();
    let listed = served
        .server
        .ask(&Dialect::modern().request(1, "resources/list", json!({})));
    assert_eq!(
        listed.result()["resources"].as_array().unwrap().len(),
        2,
        "it is read anew"
    );
}

#[test]
fn no_spelling_of_a_uri_leads_outside() {
    let served = Served::new("file-resources-outside");
    let secret = served.folder.path().join("secret.txt");
    let absolute = secret.to_str().unwrap();
    for dialect in eras() {
        let code = if dialect.is_modern() { -32602 } else { -32002 };
        for path in [
            "../secret.txt",
            "..%2Fsecret.txt",
            "%2e%2e/secret.txt",
            "%2E%2E%2Fsecret.txt",
            "%252e%252e/secret.txt",
            "sub/../../secret.txt",
            "link",
            "up/secret.txt",
            "up",
            "./link",
            "sub/..%5c..%5csecret.txt",
            "hello.txt%00",
            "..%00/secret.txt",
            absolute,
            &absolute[1..],
            &format!("/{absolute}"),
            "etc/passwd",
            "../../../../../../etc/passwd",
            "/proc/self/environ",
            "",
            ".",
            "sub",
            "missing",
            "%ff%fe",
            "%",
        ] {
            let uri = format!("file:///{path}");
            let _case = case(uri.clone());
            let error = served.read(&dialect, &uri);
            assert_eq!(error.assert_error(200, code, "read")["data"]["uri"], uri.as_str());
        }
        for uri in [
            "file://localhost/hello.txt",
            "file:hello.txt",
            "FILE:///hello.txt",
            "/hello.txt",
            "hello.txt",
        ] {
            let _case = case(uri);
            served.read(&dialect, uri).assert_error(200, code, "read");
        }
    }
    for uri in [
        "file:///a\r\nb",
        "file:///\u{2028}",
        "file:///\u{ff0e}\u{ff0e}/secret.txt",
        "file:///\0",
    ] {
        let [modern, legacy] = eras();
        served.read(&modern, uri).assert_error(400, -32020, "read");
        served.read(&legacy, uri).assert_error(200, -32002, "read");
    }
}

#[test]
fn hostile_uris_cost_next_to_nothing() {
    let served = Served::new("file-resources-hostile");
    for part in ["a,", "../", "%2e%2e/", "{a}", "/"] {
        let _case = case(part);
        let uri = format!("file:///{}", part.repeat((1 << 20) / part.len()));
        let began = Instant::now();
        let [modern, legacy] = eras();
        for dialect in [modern, legacy] {
            let request = dialect.request("read", "resources/read", json!({"uri": uri}));
            let answer = served.server.ask(&request.without("Mcp-Name"));
            answer.assert_error(200, -32602, "read");
        }
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

//! Where the user says the server is.

use std::net::ToSocketAddrs;

use super::peer::{Address, Endpoint, Framing};

/// The path of requests where none is given.
const PATH: &str = "/mcp";

/// The endpoint of a URL: `http://HOST[:PORT][/PATH]`, `ws://…`, `unix:PATH` or `unix:@NAME`; with header lines.
/// `path` is for the last two.
///
/// # Errors
/// Says what is wrong with the URL, or that its host is not known.
pub(crate) fn target(url: &str, path: Option<&str>, headers: Vec<String>) -> Result<Endpoint, String> {
    if let Some(name) = url.strip_prefix("unix:") {
        return Ok(Endpoint {
            address: Address::Unix(name.to_owned()),
            framing: Framing::Http,
            path: path.unwrap_or(PATH).to_owned(),
            // Clients of a Unix socket name the machine they are on.
            host: "localhost".to_owned(),
            headers,
        });
    }
    let (framing, rest) = match url.split_once("://") {
        Some(("http", rest)) => (Framing::Http, rest),
        Some(("ws", rest)) => (Framing::WebSocket, rest),
        Some(("https" | "wss", _)) => {
            return Err(format!(
                "{url}: TLS is not spoken here, as its cost would be measured too; give the address behind the proxy"
            ));
        }
        _ => {
            return Err(format!(
                "{url} is no URL; write http://HOST:PORT/mcp, ws://HOST:PORT/mcp or unix:PATH"
            ));
        }
    };
    let (host, own_path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let path = match (path, own_path) {
        (Some(path), _) => path,
        (None, "") => PATH,
        (None, own) => own,
    };
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let authority = if has_port {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let mut addresses = authority
        .to_socket_addrs()
        .map_err(|error| format!("{url}: {host} is not found: {error}"))?;
    let address = addresses
        .next()
        .ok_or_else(|| format!("{url}: {host} has no address"))?;
    Ok(Endpoint {
        address: Address::Internet(address),
        framing,
        path: path.to_owned(),
        host: host.to_owned(),
        headers,
    })
}

/// The endpoint of a program that is started for every client.
///
/// # Errors
/// Fails for a command line whose quotes do not end, and an empty one.
pub(crate) fn program(command: &str) -> Result<Endpoint, String> {
    let words = shlex::split(command).filter(|words| !words.is_empty());
    let words = words.ok_or_else(|| format!("--stdio {command:?} is no command line"))?;
    Ok(Endpoint {
        address: Address::Program(words),
        framing: Framing::Lines,
        path: String::new(),
        host: String::new(),
        headers: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> (Address, Framing, String, String) {
        let endpoint = target(url, None, Vec::new()).unwrap();
        (endpoint.address, endpoint.framing, endpoint.path, endpoint.host)
    }

    #[test]
    fn urls_are_endpoints() {
        let address = Address::Internet(([127, 0, 0, 1], 8080).into());
        let (path, host) = ("/mcp".to_owned(), "127.0.0.1:8080".to_owned());
        let expected = (address, Framing::Http, path, host);
        assert_eq!(parts("http://127.0.0.1:8080/mcp"), expected);
        assert_eq!(parts("http://127.0.0.1:8080"), expected);
        let (_, framing, path, _) = parts("ws://127.0.0.1:8080/a/b?c=d");
        assert_eq!((framing, path.as_str()), (Framing::WebSocket, "/a/b?c=d"));
        let (address, ..) = parts("http://127.0.0.1/");
        assert_eq!(address, Address::Internet(([127, 0, 0, 1], 80).into()));
        let (address, framing, path, host) = parts("unix:/run/weir.sock");
        assert_eq!(address, Address::Unix("/run/weir.sock".to_owned()));
        assert_eq!(
            (framing, path.as_str(), host.as_str()),
            (Framing::Http, "/mcp", "localhost")
        );
        for (url, word) in [
            ("https://a/mcp", "TLS"),
            ("127.0.0.1:8080", "http://HOST:PORT"),
            ("http://no-such-host.invalid/", "not found"),
        ] {
            let error = target(url, None, Vec::new()).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_command_line_is_a_program() {
        let words = |command| program(command).map(|endpoint| endpoint.address);
        let expected = ["a", "b c"].map(str::to_owned).to_vec();
        assert_eq!(words("a 'b c'"), Ok(Address::Program(expected)));
        assert!(words("a 'b").is_err() && words(" ").is_err());
    }
}

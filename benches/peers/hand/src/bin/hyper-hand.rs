//! By hand on hyper 1, without a framework, on one thread. It prints `listening ADDRESS` once it serves.

use std::convert::Infallible;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use hand::{Answer, Head, Server};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    tokio::task::LocalSet::new().block_on(&runtime, accept())
}

async fn accept() -> io::Result<()> {
    let server = Rc::new(Server::default());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening {}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        tokio::task::spawn_local(serve(Rc::clone(&server), socket));
    }
}

async fn serve(server: Rc<Server>, socket: TcpStream) {
    // Without it an answer may wait for the peer's acknowledgement; a failure shows in the latencies.
    let _ = socket.set_nodelay(true);
    let service = service_fn(|request| answer(Rc::clone(&server), request));
    // An error is a client that has left.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(socket), service)
        .await;
}

async fn answer(server: Rc<Server>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let mut out = Vec::new();
    let answer = match (parts.uri.path(), &parts.method) {
        ("/mcp", &Method::POST) => match body.collect().await {
            Ok(body) => {
                let body = body.to_bytes();
                out.reserve(256 + body.len());
                server.post(&head(&parts.headers), &body, &mut out)
            }
            Err(_) => Answer {
                status: 400,
                session: None,
            },
        },
        ("/mcp", &Method::DELETE) => server.delete(&head(&parts.headers)),
        _ => Answer {
            status: 404,
            session: None,
        },
    };
    let has_body = !out.is_empty();
    let mut response = Response::new(Full::new(Bytes::from(out)));
    *response.status_mut() = StatusCode::from_u16(answer.status).expect("a status of the server's");
    if has_body {
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
    }
    if let Some(session) = answer.session {
        let id = HeaderValue::try_from(session).expect("hexadecimal digits");
        response.headers_mut().insert("mcp-session-id", id);
    }
    Ok(response)
}

fn head(fields: &HeaderMap) -> Head<'_> {
    let get = |name| fields.get(name).map(HeaderValue::as_bytes);
    Head {
        host: get("host"),
        origin: get("origin"),
        content_type: get("content-type"),
        accept: get("accept"),
        version: get("mcp-protocol-version"),
        method: get("mcp-method"),
        name: get("mcp-name"),
        session: get("mcp-session-id"),
    }
}

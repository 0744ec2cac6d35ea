use std::time::Duration;

use super::*;
use crate::registry::ResourceTemplate;

/// The shortest of a few runs.
fn shortest(mut run: impl FnMut()) -> Duration {
    (0..5)
        .map(|_| {
            let began = cpu_time();
            run();
            cpu_time() - began
        })
        .min()
        .unwrap_or_default()
}

/// The CPU time of this thread so far. The clock would not do: the machine may be busy with others.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds = text.split(' ').next().unwrap();
    Duration::from_nanos(nanoseconds.parse().unwrap())
}

#[test]
fn many_members_cost_linear_time() {
    let mut server = Server::new();
    let (headers, body) = modern_echo();
    let body_of = |count: u32| {
        let members: String = (0..count)
            .map(|n| format!("\"k{:x}\":{},", n * 4096, n % 10))
            .collect();
        body.to_string()
            .replacen("\"_meta\":{", &format!("\"_meta\":{{{members}"), 1)
    };
    let bodies = [body_of(25_000), body_of(100_000)];
    let mut shortest = [Duration::MAX; 2];
    for _ in 0..8 {
        for (body, shortest) in bodies.iter().zip(&mut shortest) {
            let began = cpu_time();
            let mut out = Vec::new();
            let step = server.protocol.decode(
                &request_context(&headers),
                body.as_bytes(),
                &mut server.scratch,
                &server.state,
                &mut out,
            );
            assert!(matches!(step, Step::Work(_)), "{step:?}");
            *shortest = (cpu_time() - began).min(*shortest);
        }
    }
    let [quarter, whole] = shortest;
    // Quadratic time would be sixteen times as long.
    assert!(whole < quarter * 9, "25 k {quarter:?}, 100 k {whole:?}");
}

#[test]
fn hostile_bodies_are_refused_quickly() {
    let mut server = Server::new();
    let (headers, body) = modern_echo();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let inside = body.to_string().replacen("\"hi\"", &deep, 1);
    let bound = Duration::from_millis(50);
    // Each byte of half a megabyte is looked at more than once, which takes longer when unoptimised.
    let half_megabyte = Duration::from_millis(if cfg!(debug_assertions) { 200 } else { 50 });
    for (body, code, bound) in [
        ("[".repeat(100_000), -32700, bound),
        ("{\"a\":".repeat(100_000), -32700, half_megabyte),
        (deep, -32600, bound),
        (inside, -32600, bound),
    ] {
        let took = shortest(|| {
            assert_eq!(
                server.post(Revision::V2026_07_28, &headers, &body).refusal(),
                (400, code)
            );
        });
        assert!(took < bound, "{took:?}");
    }
    let mut answers = |uri: String| {
        let params = json!({"name": uri, "uri": uri});
        server
            .legacy(Revision::V2025_11_25, "resources/read", params.clone())
            .body
            .to_string()
            .len()
            + server
                .legacy(Revision::V2025_11_25, "tools/call", params.clone())
                .body
                .to_string()
                .len()
            + server
                .legacy(Revision::V2025_11_25, &uri, params)
                .body
                .to_string()
                .len()
    };
    assert!(
        answers("é{a}%2e\n".repeat(1 << 17)) < 1500,
        "errors repeat what a peer sent"
    );
}

#[test]
fn a_second_look_costs_linear_time() {
    let mut server = Server::new();
    let (headers, body) = modern_echo();
    let body_of = |count: usize, number: &str, cut: &str| {
        let members = format!("{number},").repeat(count);
        body.to_string()
            .replacen("\"_meta\":{", &format!("\"_meta\":{{\"n\":[{members}0],"), 1)
            .replacen("\"hi\"", cut, 1)
    };
    for (number, cut) in [
        ("18446744073709551616", "\"hi\""),
        ("1e999", "\"hi\""),
        ("1", "\"\\ud83d\""),
        ("1", "tru"),
    ] {
        let mut took = [Duration::MAX; 2];
        for _ in 0..6 {
            for (count, took) in [20_000, 80_000].into_iter().zip(&mut took) {
                let body = body_of(count, number, cut);
                let began = cpu_time();
                let mut out = Vec::new();
                drop(server.protocol.decode(
                    &request_context(&headers),
                    body.as_bytes(),
                    &mut server.scratch,
                    &server.state,
                    &mut out,
                ));
                *took = (cpu_time() - began).min(*took);
            }
        }
        let [quarter, whole] = took;
        // The kernel counts a thread's time in steps of some milliseconds.
        let grain = Duration::from_millis(20);
        assert!(
            whole < quarter * 9 + grain,
            "{number} {cut}: {quarter:?}, {whole:?}"
        );
    }
}

#[test]
fn hostile_uris_are_matched_quickly() {
    let mut registry = Registry::builder();
    for template in [
        "x:/{a}",
        "x:/{+a}/,{b}",
        "x:/{a}-{b}-{c}",
        "x:{a},{b}/,a,{+c},a,/{d}",
        "x:/{+a},b",
    ] {
        let template =
            ResourceTemplate::new(template, "t").read(|_: CallContext, _: NoArguments| async { Ok("") });
        registry.add(template).unwrap();
    }
    let registry = registry.build();
    let uris =
        ["/a,a,a,", "/", "%", "%41", "/,", "-a", ",a,/"].map(|part| format!("x:{}", part.repeat(150_000)));
    for uri in &uris {
        let took = shortest(|| {
            std::hint::black_box(registry.find_template(uri));
        });
        assert!(took < Duration::from_millis(50), "{} {took:?}", &uri[..20]);
    }
    let mut server = Server::with(registry, Options::default());
    for uri in &uris {
        let took = shortest(|| {
            for revision in [Revision::V2025_11_25, Revision::V2026_07_28] {
                let answer = server.ask(revision, "resources/read", json!({"uri": uri}));
                assert_eq!(answer.refusal(), (200, -32602));
            }
        });
        // The time includes two rounds, and the making and checking of the messages.
        assert!(took < Duration::from_millis(500), "{} {took:?}", &uri[..20]);
    }
}

#[test]
fn depth_64_is_legitimate() {
    let mut server = Server::new();
    let (headers, mut body) = modern_echo();
    let deep = (0..58).fold(json!([]), |inner, _| json!([inner]));
    body["params"]["_meta"]["com.example/deep"] = deep;
    assert_eq!(
        server
            .post(Revision::V2026_07_28, &headers, body.to_string())
            .text(),
        "hi"
    );
}

#[test]
fn small_values_cross_the_shard() {
    assert!(size_of::<Ticket>() <= 160, "{}", size_of::<Ticket>());
    assert!(size_of::<Work<'_>>() <= 184, "{}", size_of::<Work<'_>>());
}

#[test]
fn decoding_again_gives_the_same() {
    let server = Server::new();
    let (headers, body) = modern_echo();
    let body = body.to_string().replace("hi", "\\u0068\\ud83d\\ude00");
    let (mut one, mut two) = (Scratch::new(), Scratch::new());
    let decode = |scratch: &mut Scratch| {
        let mut out = Vec::new();
        match server.protocol.decode(
            &request_context(&headers),
            body.as_bytes(),
            scratch,
            &server.state,
            &mut out,
        ) {
            Step::Work(work) => call(&server.tools, &work).unwrap().unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(decode(&mut one), decode(&mut two));
    assert_eq!(
        decode(&mut one),
        crate::registry::ToolOutput::text("h\u{1f600}").into()
    );
}

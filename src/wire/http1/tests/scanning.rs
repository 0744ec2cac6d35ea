//! The scanner: same answer for every delivery, refusals as early as possible, limits exact, time linear.

use super::super::{HeadError, HeadLimits, HeadScanner};
use super::{ECHO, for_seeds};

type Outcome = Result<Option<usize>, HeadError>;

const LIMITS: HeadLimits = HeadLimits {
    head_bytes_max: 32 << 10,
    request_line_bytes_max: 8 << 10,
    fields_max: 100,
};

fn scan(window: &[u8]) -> Outcome {
    HeadScanner::default().scan(window, &LIMITS)
}

/// Scans windows that grow to these lengths and then to the whole; the first definite answer counts.
fn scan_growing(bytes: &[u8], lengths: impl Iterator<Item = usize>, limits: &HeadLimits) -> Outcome {
    let mut scanner = HeadScanner::default();
    for length in lengths.chain([bytes.len()]) {
        let outcome = scanner.scan(&bytes[..length], limits);
        if outcome != Ok(None) {
            return outcome;
        }
        // At most a carriage return is looked at again, so the work is linear.
        assert!(
            scanner.looked_bytes + 1 >= length,
            "{} of {length} bytes",
            scanner.looked_bytes
        );
    }
    Ok(None)
}

fn fixtures() -> Vec<Vec<u8>> {
    let mut fixtures = vec![
        ECHO.to_vec(),
        [b"\r\n\r\n", ECHO].concat(),
        [b"\r\n\r\n\r\n\r\n\r\n", ECHO].concat(),
    ];
    for text in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\n\r\n",
        "GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n",
        "\nGET",
        "GET / HTTP/1.1\r\nA: b\r\n\n",
        "GET / HTTP/1.1\r\nA: b\r\r\n\r\n",
        "GET / HTTP/1.1\r\nA: \0b\r\n\r\n",
        "\r\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n",
        "GET / HTTP/1.1\r",
    ] {
        fixtures.push(text.as_bytes().to_vec());
    }
    fixtures
}

#[test]
fn every_split_and_single_bytes_give_the_same_answer() {
    for bytes in fixtures() {
        let whole = scan(&bytes);
        assert_eq!(
            scan_growing(&bytes, 0..bytes.len(), &LIMITS),
            whole,
            "{}",
            bytes.escape_ascii()
        );
        for cut in 0..bytes.len() {
            let split = scan_growing(&bytes, [cut].into_iter(), &LIMITS);
            assert_eq!(split, whole, "cut at {cut}: {}", bytes.escape_ascii());
        }
    }
}

#[test]
fn random_bytes_in_random_pieces_give_the_answer_of_the_whole() {
    let limits = HeadLimits {
        head_bytes_max: 60,
        request_line_bytes_max: 20,
        fields_max: 4,
    };
    for_seeds(2000, |rng| {
        let alphabet = [
            &b"\r\n"[..],
            b"\r\n",
            b"\r\n",
            b"aaaaaa",
            b"a: b",
            b"a",
            b"\r",
            b"\n",
            b"\0",
        ];
        let kinds = if rng.bool() { 6 } else { alphabet.len() };
        let bytes = (0..rng.usize(1..40))
            .flat_map(|_| alphabet[rng.usize(..kinds)])
            .copied()
            .collect::<Vec<_>>();
        let whole = HeadScanner::default().scan(&bytes, &limits);
        let mut cuts = (0..rng.usize(..5))
            .map(|_| rng.usize(..bytes.len()))
            .collect::<Vec<_>>();
        cuts.sort_unstable();
        assert_eq!(
            scan_growing(&bytes, cuts.into_iter(), &limits),
            whole,
            "{}",
            bytes.escape_ascii()
        );
        assert_eq!(
            scan_growing(&bytes, 0..bytes.len(), &limits),
            whole,
            "{}",
            bytes.escape_ascii()
        );
        if let Ok(Some(length)) = whole {
            assert!(
                length <= limits.head_bytes_max && bytes[..length].ends_with(b"\r\n\r\n"),
                "{length}"
            );
        }
    });
}

#[test]
fn the_length_reaches_to_the_body() {
    assert_eq!(scan(ECHO), Ok(Some(ECHO.len() - 2)));
    let pipelined = [ECHO, ECHO].concat();
    assert_eq!(scan(&pipelined), Ok(Some(ECHO.len() - 2)));
}

#[test]
fn refusals_do_not_wait_for_the_rest() {
    assert_eq!(scan(b"GET / HTTP/1.1\n"), Err(HeadError::LineEnd));
    assert_eq!(scan(b"GET / HTTP/1.1\r\nA: b\n"), Err(HeadError::LineEnd));
    assert_eq!(scan(b"GET / HTTP/1.1\r\nA: b\rc"), Err(HeadError::LineEnd));
    assert_eq!(scan(b"GET / HTTP/1.1\r\nA: \0"), Err(HeadError::Nul));
    assert_eq!(scan(b"\x16\x03\x01\x00\xa5"), Err(HeadError::Nul));
    assert_eq!(scan(b"\n"), Err(HeadError::LineEnd));
    let endless = vec![b'a'; LIMITS.request_line_bytes_max + 1];
    assert_eq!(scan(&endless), Err(HeadError::RequestLineTooLong));
    assert_eq!(scan(&endless[1..]), Ok(None));
    let megabyte = [b"GET / HTTP/1.1\r\nA: ", vec![b'a'; 1 << 20].as_slice()].concat();
    assert_eq!(scan(&megabyte[..LIMITS.head_bytes_max]), Ok(None));
    assert_eq!(
        scan(&megabyte[..LIMITS.head_bytes_max + 1]),
        Err(HeadError::HeadTooLarge)
    );
    let thousand = ["GET / HTTP/1.1\r\n", &"A: b\r\n".repeat(1000)].concat();
    assert_eq!(scan(&thousand.as_bytes()[..16 + 6 * 100]), Ok(None));
    assert_eq!(
        scan(&thousand.as_bytes()[..16 + 6 * 101]),
        Err(HeadError::TooManyFields)
    );
}

#[test]
fn limits_hold_to_the_byte() {
    let of_line = |bytes: usize| format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(bytes - 14)).into_bytes();
    assert!(matches!(scan(&of_line(8 << 10)), Ok(Some(_))));
    assert_eq!(scan(&of_line((8 << 10) + 1)), Err(HeadError::RequestLineTooLong));

    let of_head =
        |bytes: usize| format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(bytes - 23)).into_bytes();
    assert_eq!(scan(&of_head(32 << 10)), Ok(Some(32 << 10)));
    assert_eq!(scan(&of_head((32 << 10) + 1)), Err(HeadError::HeadTooLarge));

    let of_fields = |count: usize| {
        ["GET / HTTP/1.1\r\n", &"A: b\r\n".repeat(count), "\r\n"]
            .concat()
            .into_bytes()
    };
    assert_eq!(scan(&of_fields(100)), Ok(Some(16 + 600 + 2)));
    assert_eq!(scan(&of_fields(101)), Err(HeadError::TooManyFields));

    let of_empty = |count: usize| {
        ["\r\n".repeat(count).as_str(), "GET / HTTP/1.1\r\n\r\n"]
            .concat()
            .into_bytes()
    };
    assert_eq!(scan(&of_empty(4)), Ok(Some(8 + 18)));
    assert_eq!(scan(&of_empty(5)), Err(HeadError::EmptyLines));
}

#[test]
fn a_megabyte_field_byte_by_byte_is_looked_at_once() {
    let limits = HeadLimits {
        head_bytes_max: 2 << 20,
        ..LIMITS
    };
    let bytes = [
        b"GET / HTTP/1.1\r\nA: ",
        vec![b'a'; 1 << 20].as_slice(),
        b"\r\n\r\n",
    ]
    .concat();
    // Looking twice at bytes already seen would take 5 * 10^11 steps.
    assert_eq!(
        scan_growing(&bytes, 0..bytes.len(), &limits),
        Ok(Some(bytes.len()))
    );
}

#[test]
fn empty_lines_are_not_yet_a_request() {
    let mut scanner = HeadScanner::default();
    for (window, is_before) in [
        (&b""[..], true),
        (b"\r\n", true),
        (b"\r\nP", false),
        (b"\r\nPOST / HTTP/1.1\r\n", false),
    ] {
        assert_eq!(scanner.scan(window, &LIMITS), Ok(None));
        assert_eq!(
            scanner.is_before_request(window),
            is_before,
            "{}",
            window.escape_ascii()
        );
    }
}

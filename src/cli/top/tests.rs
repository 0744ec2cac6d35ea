//! Screens as text, and what keys do to them.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use super::page::Now;
use super::readers::Reader;
use super::screen::{Palette, draw};
use super::servers::Server;
use super::view::{Next, View};

const EARLIER: &str = include_str!("../../scrape/testdata/earlier.txt");
const LATER: &str = include_str!("../../scrape/testdata/later.txt");

/// Three minutes and a bit after the start of the server in these texts.
const WALL_SECONDS: f64 = 1_796_071_719.12 + 192.0;

/// A view with its time.
struct Trial {
    view: View,
    readers: Vec<Reader>,
    start: Instant,
    elapsed: Duration,
}

impl Trial {
    fn new(addresses: &[&str]) -> Self {
        let servers = addresses
            .iter()
            .map(|address| Server::new(address.parse().unwrap()));
        Self {
            view: View::new(servers.collect()),
            readers: addresses
                .iter()
                .map(|address| Reader::new(address.parse().unwrap()))
                .collect(),
            start: Instant::now(),
            elapsed: Duration::ZERO,
        }
    }

    /// One server with rates over two seconds.
    fn busy() -> Self {
        let mut trial = Self::new(&["127.0.0.1:9464"]);
        trial.answer(0, EARLIER);
        trial.wait(2);
        trial.answer(0, LATER);
        trial
    }

    fn wait(&mut self, seconds: u64) {
        self.elapsed += Duration::from_secs(seconds);
    }

    fn answer(&mut self, server: usize, text: &str) {
        let at = self.start + self.elapsed;
        let reading = self.readers[server].take(at, text);
        self.view.on_reading(server, at, reading);
    }

    fn fail(&mut self, server: usize, reason: &str) {
        self.view
            .on_reading(server, self.start + self.elapsed, Err(reason.to_owned()));
    }

    fn press(&mut self, code: KeyCode) -> Next {
        self.view.on_key(KeyEvent::from(code))
    }

    fn buffer(&mut self, width: u16, height: u16, palette: Palette) -> Buffer {
        let now = Now {
            at: self.start + self.elapsed,
            wall_seconds: WALL_SECONDS,
        };
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal
            .draw(|frame| draw(frame, &mut self.view, palette, now))
            .unwrap();
        terminal.backend().buffer().clone()
    }

    fn screen(&mut self, width: u16, height: u16) -> String {
        text(&self.buffer(width, height, Palette::Colours))
    }
}

/// The rows of a screen, without the blanks at their ends.
fn text(buffer: &Buffer) -> String {
    let rows = buffer.content().chunks(buffer.area.width.into()).map(|row| {
        let symbols: String = row.iter().map(|cell| cell.symbol()).collect();
        symbols.trim_end().to_owned() + "\n"
    });
    rows.collect()
}

/// The rows of a screen that are reversed.
fn selected(buffer: &Buffer) -> Vec<String> {
    let rows = buffer.content().chunks(buffer.area.width.into());
    let reversed = rows.filter(|row| row[0].modifier.contains(Modifier::REVERSED));
    reversed
        .map(|row| row.iter().map(|cell| cell.symbol()).collect())
        .collect()
}

/// A screen must be the one in this file beside the test.
#[track_caller]
fn assert_screen(screen: &str, name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/top/testdata");
    let expected = fs::read_to_string(folder.join(name)).unwrap();
    assert!(screen == expected, "not as {name} has it:\n{screen}");
}

#[test]
fn one_server_fits_eighty_columns() {
    assert_screen(&Trial::busy().screen(80, 24), "server_80.txt");
}

#[test]
fn the_guide_shows_this_screen() {
    let guide = include_str!("../../guide/operating.md");
    let (_, shown) = guide.split_once("```text\n127.0.0.1").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    assert_screen(&format!("127.0.0.1{shown}"), "server_80.txt");
}

#[test]
fn a_wide_screen_shows_every_column() {
    assert_screen(&Trial::busy().screen(140, 32), "server_140.txt");
}

#[test]
fn one_shard_is_shown_whole() {
    let mut trial = Trial::busy();
    for code in [KeyCode::Down, KeyCode::Down, KeyCode::Enter] {
        assert_eq!(trial.press(code), Next::Stay);
    }
    assert_screen(&trial.screen(80, 30), "shard_80.txt");
    trial.press(KeyCode::Up);
    assert!(
        trial.screen(80, 24).contains("\nshard 0 "),
        "{}",
        trial.screen(80, 24)
    );
    trial.press(KeyCode::Esc);
    assert_eq!(selected(&trial.buffer(80, 24, Palette::Colours)).len(), 1);
}

#[test]
fn several_servers_have_a_line_each() {
    let mut trial = Trial::new(&["127.0.0.1:9464", "http://far.example:81/weir", "[::1]:2"]);
    for server in [0, 1, 2] {
        trial.answer(server, EARLIER);
    }
    trial.wait(2);
    trial.answer(0, LATER);
    trial.answer(1, LATER);
    trial.answer(
        2,
        &EARLIER.replace(
            "start_time_seconds 1796071719.12",
            "start_time_seconds 1796071900",
        ),
    );
    trial.wait(5);
    trial.fail(1, "Connection refused (os error 111)");
    trial.wait(7);
    assert_screen(&trial.screen(80, 24), "servers_80.txt");
    let chosen = |trial: &mut Trial| selected(&trial.buffer(80, 24, Palette::Colours)).concat();
    assert!(chosen(&mut trial).starts_with("127.0.0.1:9464 "));
    trial.press(KeyCode::Down);
    assert!(chosen(&mut trial).starts_with("far.example:81/weir "));
    trial.press(KeyCode::Enter);
    let screen = trial.screen(80, 24);
    assert!(
        screen.starts_with("far.example:81/weir  away for 7s!!  Connection refused (os error 111)\n"),
        "{screen}"
    );
    for (key, shown) in [('3', "[::1]:2 "), ('9', "[::1]:2 "), ('1', "127.0.0.1:9464 ")] {
        trial.press(KeyCode::Char(key));
        assert!(trial.screen(80, 24).starts_with(shown), "{key}");
    }
    trial.press(KeyCode::Esc);
    assert!(trial.screen(80, 24).starts_with("SERVER "));
}

#[test]
fn a_server_that_never_answered_is_no_empty_screen() {
    let mut trial = Trial::new(&["127.0.0.1:1"]);
    assert!(trial.screen(80, 24).starts_with("127.0.0.1:1  asking\n"));
    trial.press(KeyCode::Enter);
    trial.fail(0, "no answer in time");
    trial.wait(3);
    assert!(
        trial
            .screen(80, 24)
            .starts_with("127.0.0.1:1  away for 3s!!  no answer in time\n")
    );
}

#[test]
fn a_paused_view_stays_as_it_is() {
    let mut trial = Trial::busy();
    trial.press(KeyCode::Char('p'));
    let paused = trial.screen(80, 24);
    assert!(paused.contains("PAUSED"), "{paused}");
    trial.fail(0, "gone");
    assert_eq!(trial.screen(80, 24), paused);
    trial.press(KeyCode::Char(' '));
    trial.fail(0, "gone");
    let screen = trial.screen(80, 24);
    assert!(
        screen.contains("away for") && !screen.contains("PAUSED"),
        "{screen}"
    );
}

#[test]
fn sorting_changes_the_order_of_rows() {
    let mut trial = Trial::busy();
    let order = |trial: &mut Trial| {
        let screen = trial.screen(80, 24);
        let at = |word: &str| screen.find(word).unwrap_or_else(|| panic!("{word}: {screen}"));
        (at("\n    1 ") < at("\n    0 "), at("\necho") < at("\ntools/list"))
    };
    // Load, latency, errors: shard 1 and echo lead each time.
    for _ in 0..3 {
        assert_eq!(order(&mut trial), (true, true));
        trial.press(KeyCode::Char('s'));
    }
    assert!(trial.screen(80, 24).contains("s sort: name"));
    assert_eq!(order(&mut trial), (false, true));
}

#[test]
fn every_way_to_end_ends() {
    let mut trial = Trial::busy();
    assert_eq!(trial.press(KeyCode::Char('q')), Next::Quit);
    for letter in ['c', 'd'] {
        let key = KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
        assert_eq!(trial.view.on_key(key), Next::Quit);
        assert_eq!(trial.press(KeyCode::Char(letter)), Next::Stay);
    }
}

#[test]
fn help_comes_and_goes() {
    let mut trial = Trial::busy();
    let screen = trial.screen(80, 24);
    for back in [KeyCode::Char('?'), KeyCode::Esc] {
        trial.press(KeyCode::Char('?'));
        let help = trial.screen(80, 24);
        assert!(
            help.contains("page up, page down") && help.contains("DEATHS"),
            "{help}"
        );
        trial.press(back);
        assert_eq!(trial.screen(80, 24), screen);
    }
}

#[test]
fn the_chosen_of_many_shards_stays_in_sight() {
    let shards: String = (0..64)
        .map(|shard| format!("weir_pool_size{{shard=\"{shard}\"}} 8\n"))
        .collect();
    let mut trial = Trial::new(&["a:1"]);
    trial.answer(0, &format!("weir_build_info{{version=\"1\"}} 1\n{shards}"));
    for shard in (0..64).chain((0..63).rev()) {
        trial.press(if trial.elapsed.is_zero() {
            KeyCode::Down
        } else {
            KeyCode::Up
        });
        if shard == 63 {
            trial.wait(1);
        }
        let chosen = selected(&trial.buffer(80, 24, Palette::Colours)).concat();
        assert_eq!(chosen.split_whitespace().next(), Some(shard.to_string().as_str()));
    }
    trial.press(KeyCode::End);
    assert!(trial.screen(80, 24).contains("\n   63 "));
    trial.press(KeyCode::Home);
    assert!(trial.screen(80, 24).contains("\n    0 "));
    for _ in 0..20 {
        trial.press(KeyCode::PageDown);
    }
    assert!(trial.screen(80, 24).contains("\n   63 "));
    trial.press(KeyCode::PageUp);
    assert!(!trial.screen(80, 24).contains("\n   63 "));
}

#[test]
fn tab_goes_from_table_to_table() {
    let mut trial = Trial::busy();
    let top = |trial: &mut Trial| trial.screen(80, 12).lines().nth(5).unwrap_or_default().to_owned();
    assert!(top(&mut trial).starts_with("SHARD"));
    for table in ["TOOL", "PROGRAM"] {
        trial.press(KeyCode::Tab);
        assert!(top(&mut trial).starts_with(table), "{}", trial.screen(80, 12));
    }
}

#[test]
fn a_small_screen_keeps_what_matters_most() {
    let mut trial = Trial::busy();
    let screen = trial.screen(40, 24);
    assert!(screen.contains("  P99 >1.0s"), "{screen}");
    for (width, keys) in [
        (40, "q quit  p pause  s sort: load  ? help"),
        (20, "q quit  ? help"),
    ] {
        assert_eq!(trial.screen(width, 10).lines().last(), Some(keys));
    }
}

#[test]
fn nonsense_is_no_number() {
    for nonsense in ["NaN", "+Inf", "-Inf", "1e308", "-4000"] {
        let mut trial = Trial::new(&["a:1"]);
        let text: String = LATER
            .lines()
            .map(|line| match line.rsplit_once(' ') {
                Some((series, _)) if !line.starts_with('#') => format!("{series} {nonsense}\n"),
                _ => String::new(),
            })
            .collect();
        trial.answer(0, &text);
        trial.wait(2);
        trial.answer(0, &text);
        for places in [&[][..], &[KeyCode::Enter]] {
            places.iter().for_each(|code| _ = trial.press(*code));
            let screen = trial.screen(200, 60);
            for wrong in ["NaN", "inf", "0000000", "TiB", "PiB", "EiB", "-4", "-2"] {
                assert!(!screen.contains(wrong), "{nonsense}: {wrong}: {screen}");
            }
        }
    }
}

#[test]
fn control_z_stops_and_nothing_else_does() {
    let mut trial = Trial::busy();
    let stop = KeyEvent::new(KeyCode::Char('z'), KeyModifiers::CONTROL);
    assert_eq!(trial.view.on_key(stop), Next::Stop);
    assert_eq!(trial.press(KeyCode::Char('z')), Next::Stay);
}

#[test]
fn no_size_makes_it_panic() {
    for place in [
        &[][..],
        &[KeyCode::Enter],
        &[KeyCode::Char('?')],
        &[KeyCode::Char('p')],
    ] {
        let mut trial = Trial::busy();
        trial.press(KeyCode::Down);
        for code in place {
            trial.press(*code);
        }
        for width in (1..40).chain([79, 80, 81, 500]) {
            for height in (1..12).chain([24, 90]) {
                trial.press(KeyCode::Down);
                trial.press(KeyCode::Tab);
                trial.screen(width, height);
            }
        }
    }
}

#[test]
fn names_of_servers_do_nothing_to_the_terminal() {
    let hostile = "\u{1b}]0;x\u{7}\u{1b}[31mred\u{9b}2J\u{202e}txet\\n";
    let mut trial = Trial::new(&["a:1"]);
    let text = LATER
        .replace(
            "gen_ai_tool_name=\"echo\"",
            &format!("gen_ai_tool_name=\"{hostile}\""),
        )
        .replace("server=\"time\"", &format!("server=\"{hostile}\""))
        .replace("version=\"0.1.0\"", &format!("version=\"{hostile}\""))
        .replace("reason=\"handlers\"", &format!("reason=\"{hostile}\""))
        .replace("status=\"working\"", &format!("status=\"{hostile}\""));
    trial.answer(0, &text);
    let buffer = trial.buffer(300, 40, Palette::Colours);
    let screen = self::text(&buffer);
    assert!(screen.matches("\\u{1b}]0;x\\u{7}").count() >= 5, "{screen}");
    let is_harmful = |c: char| c.is_control() || c == '\u{202e}';
    assert!(
        !buffer
            .content()
            .iter()
            .any(|cell| cell.symbol().contains(is_harmful))
    );
    let long = EARLIER.replace(
        "gen_ai_tool_name=\"echo\"",
        &format!("gen_ai_tool_name=\"{}\"", "x".repeat(1 << 20)),
    );
    trial.answer(0, &long);
    assert!(trial.screen(80, 24).contains("xxx~"));
}

#[test]
fn nothing_is_told_by_colour_alone_and_colours_can_be_off() {
    let mut trial = Trial::busy();
    let colours = |buffer: &Buffer| {
        buffer
            .content()
            .iter()
            .filter(|cell| cell.fg != Color::Reset)
            .count()
    };
    let coloured = trial.buffer(140, 32, Palette::Colours);
    assert!(colours(&coloured) > 0);
    let plain = trial.buffer(140, 32, Palette::NoColours);
    assert_eq!(colours(&plain), 0);
    assert_eq!(text(&plain), text(&coloured));
    // Every run of a colour, but for the bar beside its number, ends in a mark.
    for row in coloured.content().chunks(140) {
        for pair in row
            .windows(2)
            .filter(|pair| pair[0].fg != Color::Reset && pair[1].fg == Color::Reset)
        {
            assert!(matches!(pair[0].symbol(), "!" | "." | "#"), "{pair:?}");
        }
    }
}

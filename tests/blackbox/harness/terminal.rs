//! A program in a terminal: a pseudo-terminal of the kernel, and what a real one would show of its output.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcgetpgrp, tcsetwinsize};

use super::process::WEIR;
use super::wait::{eventually, eventually_some};

/// `weir` in a terminal; killed when dropped.
pub(crate) struct InTerminal {
    child: Child,
    /// Our side: keys go in, and the screen comes out.
    keyboard: File,
    /// The program's side: held so that what it wrote last can be read after its end.
    _terminal: OwnedFd,
    screen: Arc<Mutex<vt100::Parser>>,
    /// All that the program has written.
    written: Arc<Mutex<Vec<u8>>>,
}

/// Rows and columns.
pub(crate) type Size = (u16, u16);

impl InTerminal {
    /// `weir` with these arguments and variables, in a session of its own whose terminal this is.
    pub(crate) fn start(size: Size, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::start_under(&[], size, arguments, variables)
    }

    /// The same as a job of a shell that brings it back at the Enter key once it was stopped.
    pub(crate) fn start_in_shell(size: Size, arguments: &[&str]) -> Self {
        const SCRIPT: &str = r#"set -m; "$0" "$@"; while read -r line; do fg && exit; done"#;
        Self::start_under(&["sh", "-c", SCRIPT], size, arguments, &[])
    }

    fn start_under(shell: &[&str], size: Size, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let terminal = ioctl_tiocgptpeer(&ours, flags).unwrap();
        set_size(&ours, size);
        let side = || Stdio::from(terminal.try_clone().unwrap());
        let mut command = Command::new("setsid");
        command.arg("--ctty").args(shell).arg(WEIR).args(arguments);
        command.stdin(side()).stdout(side()).stderr(side());
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        command.envs(variables.iter().copied());
        let child = command.spawn().unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(
            nonzero(size.0),
            nonzero(size.1),
            0,
        )));
        let keyboard = File::from(ours);
        let written = Arc::default();
        watch(
            keyboard.try_clone().unwrap(),
            Arc::clone(&screen),
            Arc::clone(&written),
        );
        Self {
            child,
            keyboard,
            _terminal: terminal,
            screen,
            written,
        }
    }

    /// The text on the screen.
    pub(crate) fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// All that the program has written to the terminal.
    pub(crate) fn written(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    /// Waits until the screen shows something, which is given back with the whole text.
    #[track_caller]
    pub(crate) fn eventually_shows(&self, what: &str) -> String {
        self.eventually(what, |text| text.contains(what))
    }

    /// Waits until the text on the screen is so.
    #[track_caller]
    pub(crate) fn eventually(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually_some(what, || {
                last = self.text();
                is_so(&last).then(|| last.clone())
            })
        }));
        found.unwrap_or_else(|_| panic!("the screen never has {what:?}:\n{}", self.text()))
    }

    /// Presses keys, as the bytes that a terminal makes of them.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Changes the terminal's size, of which the kernel tells the program.
    pub(crate) fn resize(&mut self, size: Size) {
        let mut screen = self.screen.lock().unwrap();
        screen.set_size(nonzero(size.0), nonzero(size.1));
        set_size(&self.keyboard, size);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // `setsid` becomes the program, or else the shell, whose only child it is then.
        let own = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap();
        let pid = children
            .split_whitespace()
            .next()
            .map_or(own, |pid| pid.parse().unwrap());
        kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
    }

    /// Whether the terminal is the program's: its own screen, no cursor, and each key by itself.
    pub(crate) fn is_taken(&self) -> bool {
        let modes = tcgetattr(&self.keyboard).unwrap().local_modes;
        let is_raw = !modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        let parser = self.screen.lock().unwrap();
        let screen = parser.screen();
        is_raw && screen.alternate_screen() && screen.hide_cursor()
    }

    /// Waits until the program has ended; the terminal must be as it was before.
    #[track_caller]
    pub(crate) fn assert_given_back(&mut self) -> ExitStatus {
        let status = eventually_some("the program ends", || self.child.try_wait().unwrap());
        assert!(self.is_cooked());
        self.eventually_given_back();
        status
    }

    /// Waits until the terminal is as it was before, whether or not the program has ended.
    #[track_caller]
    pub(crate) fn eventually_given_back(&self) {
        eventually("the terminal is the shell's again", || {
            let parser = self.screen.lock().unwrap();
            let screen = parser.screen();
            !screen.alternate_screen() && !screen.hide_cursor() && self.is_cooked()
        });
    }

    /// Waits until the shell, or else its job, reads what is typed.
    #[track_caller]
    pub(crate) fn eventually_typed_to_shell(&self, is_shell: bool) {
        // The shell leads its session, and so its own group.
        let shell = Pid::from_child(&self.child);
        eventually("another reads what is typed", || {
            (tcgetpgrp(&self.keyboard).unwrap() == shell) == is_shell
        });
    }

    fn is_cooked(&self) -> bool {
        let modes = tcgetattr(&self.keyboard).unwrap().local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    /// Whether anything on the screen has a colour.
    pub(crate) fn is_coloured(&self) -> bool {
        let parser = self.screen.lock().unwrap();
        let screen = parser.screen();
        let (rows, columns) = screen.size();
        let mut places = (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |column| (row, column)));
        places.any(|(row, column)| {
            let cell = screen.cell(row, column);
            cell.is_some_and(|cell| cell.fgcolor() != vt100::Color::Default)
        })
    }
}

impl Drop for InTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads what the program writes until nobody has the terminal.
fn watch(mut output: File, screen: Arc<Mutex<vt100::Parser>>, written: Arc<Mutex<Vec<u8>>>) {
    thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(count @ 1..) = output.read(&mut bytes) {
            written.lock().unwrap().extend_from_slice(&bytes[..count]);
            screen.lock().unwrap().process(&bytes[..count]);
        }
    });
}

fn set_size(terminal: impl AsFd, (rows, columns): Size) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).unwrap();
}

fn nonzero(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

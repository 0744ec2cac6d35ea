//! Real directories: the notifications about them, and their cost.
//!
//! Times are made up where they matter; events are the kernel's own, which come before a change's system call
//! returns, so that nothing here waits for them.

use std::fs;
use std::sync::Weak;
use std::sync::mpsc::{Receiver, channel};

use super::debounce::{GAP, QUIET, STORM};
use super::*;
use crate::files::FilesLimits;
use crate::files::tests::Tree;

/// Longer than any machine takes; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// WatchSet with a clock of their own.
struct Stand {
    watch_set: WatchSet<&'static str>,
    now: Instant,
}

impl Stand {
    fn new(root: Root) -> Stand {
        Stand {
            watch_set: WatchSet::new(root).unwrap(),
            now: Instant::now(),
        }
    }

    fn of(tree: &Tree, paths: &[&'static str]) -> Stand {
        let mut stand = Stand::new(tree.root());
        for path in paths {
            stand.add(path).unwrap();
        }
        stand
    }

    fn add(&mut self, path: &'static str) -> Result<Key, WatchError> {
        self.watch_set.add(What::File(path.into()), path)
    }

    /// The notifications of all that has happened, once it has settled.
    fn told(&mut self) -> Vec<&'static str> {
        self.watch_set.look(self.now).unwrap();
        self.now += GAP.max(STORM);
        let told = self.watch_set.take_due(self.now);
        assert_eq!(self.watch_set.next_due(), None);
        told
    }
}

#[test]
fn files_are_told_however_they_change() {
    let tree = Tree::new();
    tree.file("a", "1").file("b", "1").file("sub/a", "1");
    let mut stand = Stand::of(&tree, &["a", "sub/a"]);
    assert_eq!(stand.told(), [""; 0]);
    tree.file("a", "2");
    assert_eq!(stand.told(), ["a"]);
    fs::read(tree.path("a")).unwrap();
    tree.file("b", "2").file("sub/b", "2");
    assert_eq!(stand.told(), [""; 0], "nothing that matters");
    // Editors save like this: a new file takes the name.
    tree.file("a.new", "3");
    fs::rename(tree.path("a.new"), tree.path("a")).unwrap();
    assert_eq!(stand.told(), ["a"]);
    // The new file is watched, not the one before.
    tree.file("a", "4");
    assert_eq!(stand.told(), ["a"]);
    fs::remove_file(tree.path("a")).unwrap();
    assert_eq!(stand.told(), ["a"]);
    tree.file("a", "5");
    assert_eq!(stand.told(), ["a"], "made anew");
    fs::rename(tree.path("a"), tree.path("away")).unwrap();
    assert_eq!(stand.told(), ["a"]);
    tree.file("sub/a", "2");
    assert_eq!(stand.told(), ["sub/a"]);
}

#[test]
fn directories_on_the_way_may_come_and_go() {
    let tree = Tree::new();
    tree.file("a/b/f", "1").file("other/b/f", "2");
    let mut stand = Stand::of(&tree, &["a/b/f", "later/on/f"]);
    fs::remove_dir_all(tree.path("a")).unwrap();
    assert_eq!(stand.told(), ["a/b/f"]);
    assert_eq!(stand.watch_set.directories_len(), 1, "the root alone is left");
    tree.file("a/b/f", "3");
    assert_eq!(stand.told(), ["a/b/f"]);
    tree.file("a/b/f", "4");
    assert_eq!(stand.told(), ["a/b/f"]);
    fs::rename(tree.path("a"), tree.path("a.old")).unwrap();
    fs::rename(tree.path("other"), tree.path("a")).unwrap();
    assert_eq!(stand.told(), ["a/b/f"]);
    tree.file("a.old/b/f", "5");
    assert_eq!(stand.told(), [""; 0], "it is another file now");
    tree.file("a/b/f", "5");
    assert_eq!(stand.told(), ["a/b/f"]);
    tree.file("later/on/f", "1");
    assert_eq!(stand.told(), ["later/on/f"]);
    tree.file("later/on/f", "2");
    assert_eq!(stand.told(), ["later/on/f"]);
}

#[test]
fn links_are_followed_as_readers_follow_them() {
    let tree = Tree::new();
    tree.file("d/f", "1").file("e/f", "1");
    tree.link("d", "current").link("../d/f", "e/link");
    tree.link("../outside/secret", "out").link("loop", "loop");
    let absolute = tree.path("d/f");
    tree.link(&absolute, "absolute");
    let paths = ["current/f", "e/link", "out", "loop", "absolute", "d/../e/f"];
    let mut stand = Stand::of(&tree, &paths);
    tree.file("d/f", "2");
    assert_eq!(stand.told(), ["current/f", "e/link"]);
    fs::write(tree.base.join("outside/secret"), "2").unwrap();
    assert_eq!(stand.told(), [""; 0], "outside");
    tree.file("e/f", "2");
    assert_eq!(stand.told(), ["d/../e/f"]);
    // Deployments switch like this: the link is replaced.
    tree.link("e", "current.new");
    fs::rename(tree.path("current.new"), tree.path("current")).unwrap();
    assert_eq!(stand.told(), ["current/f"]);
    tree.file("e/f", "3");
    assert_eq!(stand.told(), ["current/f", "d/../e/f"]);
    fs::remove_file(tree.path("out")).unwrap();
    tree.file("out", "1");
    assert_eq!(stand.told(), ["out"], "a file inside took the link's place");
}

#[test]
fn nothing_above_the_root_is_watched() {
    let tree = Tree::new();
    tree.file("d/f", "1");
    let mut stand = Stand::new(tree.root());
    for path in ["..", "../secret", "/", "/etc/passwd", "", ".", "./.."] {
        let refused = stand.add(path);
        assert!(matches!(refused, Err(WatchError::NotBelowRoot)), "{path}");
    }
    assert!(stand.watch_set.is_empty());
    assert_eq!(stand.watch_set.directories_len(), 0);
    stand.add("d/../../secret").unwrap();
    fs::write(tree.base.join("secret"), "2").unwrap();
    assert_eq!(stand.told(), [""; 0]);
}

#[test]
fn lost_events_count_for_all() {
    let tree = Tree::new();
    tree.file("a", "1").file("d/b", "1");
    let mut stand = Stand::of(&tree, &["a", "d/b", "none"]);
    // The directory was replaced unseen: the watched directory is not the one that is there.
    fs::rename(tree.path("d"), tree.path("d.old")).unwrap();
    tree.file("d/b", "2");
    stand.watch_set.lose_events(stand.now);
    assert_eq!(stand.told(), ["a", "d/b", "none"]);
    tree.file("d/b", "3");
    assert_eq!(stand.told(), ["d/b"]);
}

#[test]
fn storms_are_told_now_and_then() {
    let tree = Tree::new();
    tree.file("log", "");
    let mut stand = Stand::of(&tree, &["log"]);
    let (start, step) = (stand.now, Duration::from_millis(5));
    let mut told = Vec::new();
    let mut run = |stand: &mut Stand, steps: usize, is_writing: bool| {
        for at in 0..steps {
            if is_writing {
                tree.file("log", at.to_string());
            }
            stand.watch_set.look(stand.now).unwrap();
            if !stand.watch_set.take_due(stand.now).is_empty() {
                told.push((stand.now - start).as_millis());
            }
            stand.now += step;
        }
        told.clone()
    };
    // Four seconds, a write each 5 ms.
    let during = run(&mut stand, 800, true);
    assert_eq!(during, [500, 1_005, 1_510, 2_015, 2_520, 3_025, 3_530]);
    let after = run(&mut stand, 200, false);
    assert_eq!(after.len(), during.len() + 1);
    assert!(*after.last().unwrap() <= (3_995 + (QUIET + step).as_millis()).max(3_530 + 200));
}

#[test]
fn watches_are_shared_and_given_back() {
    let tree = Tree::new();
    tree.file("d/a", "1").file("d/b", "1");
    let mut stand = Stand::new(tree.root());
    let keys = [
        stand.add("d/a").unwrap(),
        stand.add("d/b").unwrap(),
        stand.add("d/a").unwrap(),
    ];
    assert_eq!(stand.watch_set.directories_len(), 2);
    tree.file("d/a", "2");
    assert_eq!(stand.told(), ["d/a", "d/a"]);
    tree.file("d/a", "3");
    stand.watch_set.remove(keys[0]);
    assert_eq!(stand.told(), ["d/a"]);
    stand.watch_set.remove(keys[1]);
    stand.watch_set.remove(keys[2]);
    assert_eq!(stand.watch_set.directories_len(), 0);
    tree.file("d/a", "4");
    assert_eq!(stand.told(), [""; 0]);
}

#[test]
fn limits_are_kept_and_told() {
    let tree = Tree::new();
    tree.file("d/f", "1").file("e/f", "1");
    let limited = |directories, files| {
        Stand::new(tree.root_with(|limits: &mut FilesLimits| {
            limits.watched_directories_max = directories;
            limits.watched_files_max = files;
        }))
    };
    let mut stand = limited(2, 10);
    let first = stand.add("d/f").unwrap();
    let refused = stand.add("e/f");
    assert!(matches!(
        refused,
        Err(WatchError::Directories { directories_max: 2 })
    ));
    assert_eq!(
        stand.watch_set.directories_len(),
        2,
        "the failed one left nothing"
    );
    stand.add("f").unwrap();
    stand.watch_set.remove(first);
    stand.add("e/f").unwrap();
    let mut stand = limited(10, 1);
    stand.add("d/f").unwrap();
    assert!(matches!(
        stand.add("d/f"),
        Err(WatchError::Files { files_max: 1 })
    ));
}

/// A path that cannot be watched because no watches are left is found again.
#[test]
fn what_got_out_of_sight_is_tried_again() {
    let tree = Tree::new();
    tree.file("d/f", "1");
    let mut stand = Stand::new(tree.root_with(|limits| limits.watched_directories_max = 2));
    stand.add("later/f").unwrap();
    let other = stand.add("d/f").unwrap();
    tree.file("later/f", "1");
    stand.watch_set.look(stand.now).unwrap();
    stand.now += STORM;
    assert_eq!(stand.watch_set.take_due(stand.now), ["later/f"]);
    tree.file("later/f", "2");
    stand.watch_set.look(stand.now).unwrap();
    let retry_at = stand.watch_set.next_due().unwrap();
    assert!(retry_at > stand.now);
    stand.watch_set.remove(other);
    stand.now = retry_at;
    assert_eq!(stand.told(), ["later/f"]);
    tree.file("later/f", "3");
    assert_eq!(stand.told(), ["later/f"]);
}

/// A change that is found by the file's own times counts as one with the kernel's event.
#[test]
fn what_is_found_and_seen_is_told_once() {
    let tree = Tree::new();
    tree.file("a", "1");
    let mut stand = Stand::new(tree.root());
    let key = stand.add("a").unwrap();
    stand.watch_set.on_change(key, stand.now);
    tree.file("a", "2");
    assert_eq!(stand.told(), ["a"]);
    assert_eq!(stand.told(), [""; 0]);
    stand.watch_set.remove(key);
    stand.watch_set.on_change(key, stand.now);
    assert_eq!(stand.told(), [""; 0], "it has left");
}

fn teller() -> (OnChange, Receiver<()>) {
    let (tell, told) = channel();
    let tell: OnChange = Arc::new(move || {
        let _ = tell.send(());
    });
    (tell, told)
}

/// The thread's own hold on what it watches, without keeping it.
fn thread_of(watcher: &Watcher) -> Weak<Mutex<WatchSet<OnChange>>> {
    let watching = lock(&watcher.shared.watching);
    Arc::downgrade(&watching.as_ref().unwrap().watch_set)
}

fn wait_until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it does not happen");
        thread::yield_now();
    }
}

#[test]
fn the_thread_tells_and_ends_with_the_last_and_begins_anew() {
    let tree = Tree::new();
    tree.file("a", "1").file("b", "1");
    let watcher = Watcher::new(tree.root());
    for round in 0..3 {
        let (tell_a, told_a) = teller();
        let (tell_b, told_b) = teller();
        let a = watcher.watch(Path::new("a"), None, tell_a).unwrap();
        let b = watcher.watch(Path::new("b"), None, tell_b).unwrap();
        let thread = thread_of(&watcher);
        tree.file("a", format!("{round}"));
        told_a.recv_timeout(PATIENCE).unwrap();
        assert!(told_b.try_recv().is_err());
        drop(a);
        tree.file("b", format!("{round}"));
        told_b.recv_timeout(PATIENCE).unwrap();
        drop(b);
        assert!(lock(&watcher.shared.watching).is_none());
        wait_until(|| thread.strong_count() == 0);
    }
    let (tell, _told) = teller();
    assert!(watcher.watch(Path::new("../secret"), None, tell).is_err());
    assert!(
        lock(&watcher.shared.watching).is_none(),
        "a failed first one starts nothing"
    );
}

/// This uses the real clock and the thread: nothing happens after the watch has begun.
#[test]
fn what_changed_before_the_watch_is_told_if_it_is_wanted() {
    let tree = Tree::new();
    tree.file("old", "1").file("written", "1").file("removed", "1");
    let written_at = |path: &str| fs::metadata(tree.path(path)).unwrap().modified().unwrap();
    let since = written_at("written");
    fs::remove_file(tree.path("removed")).unwrap();
    let watcher = Watcher::new(tree.root());
    for path in ["written", "removed"] {
        let (tell, told) = teller();
        let _watched = watcher.watch(Path::new(path), Some(since), tell).unwrap();
        told.recv_timeout(PATIENCE).unwrap();
    }
    let later = since + Duration::from_secs(3_600);
    let (tell, told) = teller();
    let _watched = [("old", Some(later)), ("gone", Some(later)), ("written", None)]
        .map(|(path, since)| watcher.watch(Path::new(path), since, Arc::clone(&tell)).unwrap());
    // A change that was found is notified no later than one found after it.
    let (tell, fence) = teller();
    let _fence = watcher.watch(Path::new("written"), Some(since), tell).unwrap();
    fence.recv_timeout(PATIENCE).unwrap();
    assert!(told.try_recv().is_err());
}

/// The callback may drop a guard, and watch another file.
#[test]
fn those_who_are_told_may_subscribe_and_leave() {
    let tree = Tree::new();
    tree.file("a", "1");
    let watcher = Watcher::new(tree.root());
    let held = Arc::new(Mutex::new(None));
    let (tell_next, told_next) = teller();
    let again = {
        let (watcher, held) = (watcher.clone(), Arc::clone(&held));
        let next = watcher.clone();
        let tell: OnChange = Arc::new(move || {
            let watched = next.watch(Path::new("b"), None, Arc::clone(&tell_next)).unwrap();
            *lock(&held) = Some(watched);
        });
        watcher.watch(Path::new("a"), None, tell).unwrap()
    };
    *lock(&held) = Some(again);
    tree.file("a", "2");
    let deadline = Instant::now() + PATIENCE;
    while told_next.try_recv().is_err() {
        assert!(Instant::now() < deadline, "it is not told");
        tree.file("b", "1");
        thread::yield_now();
    }
    *lock(&held) = None;
    assert!(lock(&watcher.shared.watching).is_none());
}

/// The notifications of [`Watcher`] when another root replaces this one, and for the list of its files.
#[test]
fn a_root_that_is_replaced_is_told_to_all_and_watched_anew() {
    let tree = Tree::new();
    tree.file("a", "1").file("d/b", "1");
    let mut stand = Stand::of(&tree, &["a", "d/b", "none"]);
    stand.watch_set.add(What::List, "list").unwrap();
    let all = ["a", "d/b", "none", "list"];
    fs::rename(tree.path(""), tree.base.join("old")).unwrap();
    assert_eq!(stand.told(), all);
    assert!(!stand.watch_set.has_root());
    assert_eq!(stand.watch_set.directories_len(), 0);
    fs::write(tree.base.join("old/a"), "2").unwrap();
    assert_eq!(stand.told(), [""; 0], "it is served no more");
    stand.add("later").unwrap();
    assert!(matches!(stand.add("../secret"), Err(WatchError::NotBelowRoot)));
    tree.file("d/b", "2");
    assert_eq!(stand.told(), ["a", "d/b", "none", "list", "later"]);
    assert!(stand.watch_set.has_root());
    tree.file("a", "2");
    assert_eq!(stand.told(), ["a", "list"]);
    tree.file("d/b", "3").file("later", "1");
    assert_eq!(stand.told(), ["d/b", "list", "later"]);
    fs::write(tree.base.join("old/d/b"), "2").unwrap();
    assert_eq!(stand.told(), [""; 0]);
    // Another one follows at once.
    fs::rename(tree.path(""), tree.base.join("older")).unwrap();
    fs::rename(tree.base.join("old"), tree.path("")).unwrap();
    assert_eq!(stand.told(), ["a", "d/b", "none", "list", "later"]);
    tree.file("none", "1");
    assert_eq!(stand.told(), ["none", "list"]);
}

#[test]
fn the_list_changes_with_the_roots_own_files_and_with_nothing_else() {
    let tree = Tree::new();
    tree.file("a", "1").file("d/b", "1");
    let mut stand = Stand::of(&tree, &[]);
    let key = stand.watch_set.add(What::List, "list").unwrap();
    assert_eq!(stand.watch_set.directories_len(), 1);
    tree.file("a", "2").file("d/b", "2").file("d/c", "1");
    fs::create_dir(tree.path("e")).unwrap();
    fs::rename(tree.path("e"), tree.path("f")).unwrap();
    fs::remove_dir(tree.path("f")).unwrap();
    assert_eq!(stand.told(), [""; 0]);
    tree.file("c", "1");
    assert_eq!(stand.told(), ["list"]);
    fs::rename(tree.path("c"), tree.path("g")).unwrap();
    assert_eq!(stand.told(), ["list"]);
    fs::remove_file(tree.path("g")).unwrap();
    assert_eq!(stand.told(), ["list"]);
    fs::rename(tree.path("a"), tree.base.join("away")).unwrap();
    assert_eq!(stand.told(), ["list"]);
    // Many changes at once count as one, and a subscribed file is notified as well.
    stand.add("a").unwrap();
    for name in ["a", "b", "c"] {
        tree.file(name, "1");
    }
    assert_eq!(stand.told(), ["list", "a"]);
    stand.watch_set.lose_events(stand.now);
    assert_eq!(stand.told(), ["list", "a"]);
    stand.watch_set.remove(key);
    tree.file("h", "1");
    assert_eq!(stand.told(), [""; 0]);
}

/// This uses only the thread: nothing asks for the root, and no event of its own directory tells.
#[test]
fn the_thread_finds_another_root_by_itself() {
    let tree = Tree::new();
    for name in ["one", "two"] {
        fs::create_dir(tree.base.join(name)).unwrap();
    }
    let deploy = |name: &str| {
        std::os::unix::fs::symlink(name, tree.base.join("next")).unwrap();
        fs::rename(tree.base.join("next"), tree.base.join("current")).unwrap();
    };
    deploy("one");
    let root = Root::open(tree.base.join("current")).unwrap();
    let watcher = Watcher::new(root.clone());
    let (tell_file, told_file) = teller();
    let (tell_list, told_list) = teller();
    let _file = watcher.watch(Path::new("f"), None, tell_file).unwrap();
    let _list = watcher.watch_list(tell_list).unwrap();
    deploy("two");
    told_file.recv_timeout(PATIENCE).unwrap();
    told_list.recv_timeout(PATIENCE).unwrap();
    fs::remove_file(tree.base.join("current")).unwrap();
    told_list.recv_timeout(PATIENCE).unwrap();
    assert!(!root.is_there());
    deploy("one");
    wait_until(|| root.is_there());
    told_list.recv_timeout(PATIENCE).unwrap();
    fs::write(tree.base.join("one/f"), "1").unwrap();
    told_list.recv_timeout(PATIENCE).unwrap();
}

/// The root is watched all the time: a change before a client began to listen is not for that client.
#[test]
fn what_was_in_the_queue_before_is_not_told() {
    let tree = Tree::new();
    let watcher = Watcher::new(tree.root());
    let (tell_list, _told_list) = teller();
    let _list = watcher.watch_list(tell_list).unwrap();
    for round in 0..20 {
        let name = format!("f{round}");
        tree.file(&name, "1");
        let (tell, told) = teller();
        let watched = watcher.watch(Path::new(&name), None, tell).unwrap();
        // A fence: its notification comes after all earlier ones.
        let (tell_fence, fence) = teller();
        let _fence = watcher.watch(Path::new("fence"), None, tell_fence).unwrap();
        tree.file("fence", format!("{round}"));
        fence.recv_timeout(PATIENCE).unwrap();
        assert!(told.try_recv().is_err(), "{name}");
        drop(watched);
    }
}

use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::SystemTime;

use super::*;
use crate::mcp::{ChildOwner, Client, ClientKey, ClientProfile, ClientValues};
use crate::registry::{ListUpdates, ServerHandle, ToolError, Updates, Watch, WatchList};

/// A store of two shards, whose wake-ups are counted.
fn heard() -> (Arc<Live>, Receiver<()>) {
    let (signal, woken) = mpsc::channel();
    (live_waking(LiveOptions::default(), &signal), woken)
}

fn methods(stream: &Stream, place: StreamPlace) -> Vec<(String, Value)> {
    let read = |text: String| {
        let mut message: Value = serde_json::from_str(&text).unwrap();
        let params = message["params"].take();
        (message["method"].as_str().unwrap().to_owned(), params)
    };
    texts(stream, place).into_iter().map(read).collect()
}

fn attached(stream: Arc<Stream>, place: StreamPlace) -> Arc<Stream> {
    stream.attach(place, None);
    assert_eq!(look(&stream, place, 0).2, StreamState::Idle);
    stream
}

#[test]
fn everybody_hears_what_they_asked_for() {
    let (live, _) = heard();
    let id = |number| Id::Signed(number).into();
    let tools = Interest {
        tools: true,
        ..interest(&[])
    };
    let tools = attached(live.open_listen(id(1), &tools).unwrap(), place(1));
    let both = Interest {
        resources: true,
        prompts: true,
        ..interest(&["x:a", "x:a"])
    };
    let both = attached(live.open_listen(id(2), &both).unwrap(), on_shard(1, 2));
    let legacy = attached(get_stream(&live, 1), place(3));
    live.subscribe(&session(1), "x:a").unwrap();
    live.subscribe(&session(2), "x:a").unwrap();
    for announcement in [
        Announcement::ToolsChanged,
        Announcement::PromptsChanged,
        Announcement::ResourcesChanged,
        Announcement::ResourceUpdated("x:a".into()),
        Announcement::ResourceUpdated("x:b".into()),
    ] {
        live.broadcast(&announcement);
    }
    assert_eq!(ready(&live, 0), [1, 3]);
    assert_eq!(ready(&live, 1), [2]);
    let named = |number: i64| serde_json::json!({"io.modelcontextprotocol/subscriptionId": number});
    let heard = methods(&tools, place(1));
    assert_eq!(heard.len(), 1);
    assert_eq!(
        (heard[0].0.as_str(), &heard[0].1["_meta"]),
        ("notifications/tools/list_changed", &named(1))
    );
    let heard = methods(&both, on_shard(1, 2));
    let names: Vec<&str> = heard.iter().map(|(method, _)| method.as_str()).collect();
    let prompts = "notifications/prompts/list_changed";
    let (resources, updated) = (
        "notifications/resources/list_changed",
        "notifications/resources/updated",
    );
    assert_eq!(names, [prompts, resources, updated]);
    assert!(heard.iter().all(|(_, params)| params["_meta"] == named(2)));
    assert_eq!(heard[2].1["uri"], "x:a");
    let heard = methods(&legacy, place(3));
    let names: Vec<&str> = heard.iter().map(|(method, _)| method.as_str()).collect();
    assert_eq!(
        names,
        ["notifications/tools/list_changed", prompts, resources, updated]
    );
    assert!(heard.iter().all(|(_, params)| params.get("_meta").is_none()));
    // Listeners that have left get nothing and cost nothing.
    live.unsubscribe(&session(1), "x:a");
    live.end_session(token(2));
    drop((tools, both));
    live.broadcast(&Announcement::ResourceUpdated("x:a".into()));
    live.broadcast(&Announcement::ToolsChanged);
    assert_eq!(methods(&legacy, place(3)).len(), 1);
}

/// A client that has a child of its own.
fn owner(number: u8) -> ChildOwner {
    ChildOwner {
        client: Client {
            key: ClientKey::Principal(Principal([number; 16])),
            profile: ClientProfile::NOBODY,
            has_values: true,
        },
        values: Some(ClientValues::new(vec![("A".to_owned(), b"secret".to_vec())])),
    }
}

#[test]
fn what_a_clients_own_child_tells_is_for_that_client_only() {
    let (live, _) = heard();
    let empty = live.stats().bytes;
    let legacy = [1, 2, 3].map(|number| attached(get_stream(&live, number), place(number)));
    for (number, of) in [(1, Some(owner(1))), (2, Some(owner(2))), (3, None)] {
        live.subscribe_as(&session(number), "x:a", of).unwrap();
    }
    let own = Interest {
        own_uris: vec![("x:a".into(), owner(1))],
        ..interest(&[])
    };
    let modern = attached(live.open_listen(Id::Signed(1).into(), &own).unwrap(), place(4));
    let heard = |client: Option<u8>| {
        let client = client.map(|client| owner(client).client.key);
        live.broadcast_to(client, &Announcement::ResourceUpdated("x:a".into()));
        let streams = legacy.iter().chain([&modern]);
        let counts = streams
            .zip(1..)
            .map(|(stream, at)| methods(stream, place(at)).len());
        counts.collect::<Vec<_>>()
    };
    assert_eq!(heard(None), [0, 0, 1, 0]);
    assert_eq!(heard(Some(1)), [1, 0, 0, 1]);
    assert_eq!(heard(Some(2)), [0, 1, 0, 0]);
    assert_eq!(heard(Some(3)), [0, 0, 0, 0]);
    live.unsubscribe(&session(1), "x:a");
    assert_eq!(heard(Some(1)), [0, 0, 0, 1]);
    live.unsubscribe(&session(2), "x:a");
    live.unsubscribe(&session(3), "x:a");
    drop(modern);
    assert!(live.context.subscriptions.subjects().is_empty());
    (1..=3).for_each(|number| live.end_session(token(number)));
    drop(legacy);
    assert_eq!(live.stats().bytes, empty);
}

#[test]
fn a_broadcast_to_thousands_shares_one_message_and_wakes_by_the_chunk() {
    const STREAMS: u32 = 10_000;
    let (live, woken) = heard();
    let streams: Vec<_> = (0..STREAMS)
        .map(|number| {
            let place = on_shard((number % 2) as u16, number);
            attached(listen(&live, i64::from(number), &["x:a"]), place)
        })
        .collect();
    let empty = live.stats().bytes;
    let begin = std::time::Instant::now();
    live.broadcast(&Announcement::ResourceUpdated("x:a".into()));
    let elapsed = begin.elapsed();
    println!("{STREAMS} streams: {elapsed:?}, {:?} each", elapsed / STREAMS);
    assert!(
        live.stats().bytes - empty < 300,
        "{} bytes for one message",
        live.stats().bytes - empty
    );
    // Nobody took events meanwhile, so that each shard was told once.
    assert_eq!(woken.try_iter().count(), 2);
    let mut told: Vec<u32> = ready(&live, 0).into_iter().chain(ready(&live, 1)).collect();
    told.sort_unstable();
    assert!(told.into_iter().eq(0..STREAMS));
    for (stream, number) in streams.iter().zip(0..) {
        let heard = methods(stream, on_shard((number % 2) as u16, number));
        let id = &heard[0].1["_meta"]["io.modelcontextprotocol/subscriptionId"];
        assert_eq!((heard.len(), id), (1, &serde_json::json!(number)));
    }
    drop(streams);
    assert_eq!(live.stats().bytes, 0);
}

/// Watches every `w:` resource, and reports what it does, in order.
#[derive(Clone)]
struct Watcher(Arc<Mutex<Sender<String>>>);

impl Watch for Watcher {
    fn watch(&self, uri: &str, updates: Updates) -> Result<Box<dyn Send>, ToolError> {
        self.tell(format!("+{uri}"));
        updates.updated();
        match uri {
            "w:broken" => Err(ToolError::not_found("not found")),
            _ => Ok(Box::new(Guard(self.clone(), uri.to_owned()))),
        }
    }
}

impl Watcher {
    fn tell(&self, text: String) {
        // The receiver is gone once a test is over.
        let _ = self.0.lock().unwrap().send(text);
    }
}

struct Guard(Watcher, String);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.tell(format!("-{}", self.1));
        assert_ne!(self.1, "w:panics");
    }
}

/// A server that does nothing but announce.
struct Announcer(Arc<Live>);

impl crate::registry::ServerLink for Announcer {
    fn resource_updated(&self, uri: &str) {
        self.0.announce(Announcement::ResourceUpdated(uri.into()));
    }

    fn resources_changed(&self) {
        self.0.announce(Announcement::ResourcesChanged);
    }

    fn edit_registry(&self, _: crate::registry::RegistryEdit<'_>) {}
}

struct Rig {
    live: Arc<Live>,
    woken: Receiver<()>,
    told: Receiver<String>,
    watcher: Arc<Mutex<Arc<dyn Watch>>>,
    broadcaster: Option<BroadcasterHandle>,
}

impl Rig {
    fn start() -> Rig {
        let (live, woken) = heard();
        let (sender, told) = mpsc::channel();
        let watch: Arc<dyn Watch> = Arc::new(Watcher(Arc::new(Mutex::new(sender))));
        let watcher = Arc::new(Mutex::new(watch));
        let current = Arc::clone(&watcher);
        let watchers = move |uri: &str| {
            uri.starts_with("w:")
                .then(|| Arc::clone(&current.lock().unwrap()))
        };
        let server = ServerHandle::new(Arc::new(Announcer(Arc::clone(&live))));
        let broadcaster = Broadcaster::start(Arc::clone(&live), server, watchers);
        Rig {
            live,
            woken,
            told,
            watcher,
            broadcaster: Some(broadcaster),
        }
    }

    fn next(&self) -> String {
        self.told.recv_timeout(seconds(30)).unwrap()
    }
}

#[test]
fn a_resource_is_watched_while_somebody_listens() {
    let mut rig = Rig::start();
    let first = listen(&rig.live, 1, &["w:a", "x:b"]);
    assert_eq!(rig.next(), "+w:a");
    rig.live.subscribe(&session(1), "w:a").unwrap();
    drop(first);
    rig.live.subscribe(&session(1), "w:b").unwrap();
    // If the second listener had begun a watch, or the leaving of the first had ended one, that would have come first.
    assert_eq!(rig.next(), "+w:b");
    rig.live.unsubscribe(&session(1), "w:a");
    assert_eq!(rig.next(), "-w:a");
    let back = listen(&rig.live, 2, &["w:a"]);
    assert_eq!(rig.next(), "+w:a");
    // Another watcher takes over when resources change.
    let old = Arc::clone(&rig.watcher.lock().unwrap());
    let (sender, told) = mpsc::channel();
    *rig.watcher.lock().unwrap() = Arc::new(Watcher(Arc::new(Mutex::new(sender))));
    rig.live.announce(Announcement::ResourcesChanged);
    let mut ended = [rig.next(), rig.next()];
    ended.sort();
    assert_eq!(ended, ["-w:a", "-w:b"]);
    let mut begun = [
        told.recv_timeout(seconds(30)).unwrap(),
        told.recv_timeout(seconds(30)).unwrap(),
    ];
    begun.sort();
    assert_eq!(begun, ["+w:a", "+w:b"]);
    drop((back, old));
    assert_eq!(told.recv_timeout(seconds(30)).unwrap(), "-w:a");
    rig.broadcaster.take().unwrap().stop();
    assert_eq!(told.recv_timeout(seconds(30)).unwrap(), "-w:b");
    assert_eq!(
        rig.told.recv_timeout(Duration::ZERO),
        Err(RecvTimeoutError::Disconnected)
    );
}

#[test]
fn the_broadcaster_outlives_watchers_that_fail() {
    let rig = Rig::start();
    drop(listen(&rig.live, 1, &["w:panics"]));
    let broken = listen(&rig.live, 2, &["w:broken"]);
    // It is a matter of luck whether somebody still listened to the first when its turn came.
    let mut told = rig.next();
    while told != "+w:broken" {
        assert!(told.ends_with("w:panics"), "{told}");
        told = rig.next();
    }
    drop(broken);
    let panics = listen(&rig.live, 3, &["w:panics"]);
    assert_eq!(rig.next(), "+w:panics");
    drop(panics);
    assert_eq!(rig.next(), "-w:panics");
    let _last = listen(&rig.live, 4, &["w:c"]);
    assert_eq!(rig.next(), "+w:c");
}

#[test]
fn however_quickly_listeners_come_and_go_watching_ends_right() {
    let mut rig = Rig::start();
    let live = Arc::clone(&rig.live);
    for round in 0..200 {
        drop(listen(&live, round, &["w:a", "w:b"]));
    }
    let stays = listen(&live, 1, &["w:b"]);
    rig.broadcaster.take().unwrap().stop();
    let told: Vec<String> = rig.told.try_iter().collect();
    for uri in ["w:a", "w:b"] {
        let own: Vec<&String> = told.iter().filter(|told| told.ends_with(uri)).collect();
        let begun = own.iter().filter(|told| told.starts_with('+')).count();
        assert_eq!(own.len(), 2 * begun, "{told:?}");
        assert!(
            own.chunks(2)
                .all(|pair| pair[0].starts_with('+') && pair[1].starts_with('-')),
            "{told:?}"
        );
    }
    assert!(told.iter().any(|told| told == "+w:b"), "{told:?}");
    drop(stays);
}

#[test]
fn what_watchers_and_others_announce_arrives() {
    let rig = Rig::start();
    let stream = listen(&rig.live, 1, &["w:a", "x:b"]);
    stream.attach(place(1), None);
    let mut heard = methods(&stream, place(1));
    let mut hear = |until: usize| {
        while heard.len() < until {
            rig.woken.recv_timeout(seconds(30)).unwrap();
            heard.extend(
                ready(&rig.live, 0)
                    .into_iter()
                    .flat_map(|_| methods(&stream, place(1))),
            );
        }
        heard.last().unwrap().1["uri"].clone()
    };
    assert_eq!(hear(1), "w:a", "its watcher says so at once");
    rig.live
        .announce(Announcement::ResourceUpdated("x:nobody".into()));
    rig.live.announce(Announcement::ToolsChanged);
    rig.live.announce(Announcement::ResourceUpdated("x:b".into()));
    assert_eq!(hear(2), "x:b");
}

/// Reports since when it is wanted, and when it ends.
struct Wanted {
    since: Mutex<Sender<Option<SystemTime>>>,
    ends: Mutex<Sender<()>>,
    fails: bool,
}

struct End(Sender<()>);

impl Drop for End {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

impl Watch for Wanted {
    fn watch(&self, _: &str, updates: Updates) -> Result<Box<dyn Send>, ToolError> {
        let _ = self.since.lock().unwrap().send(updates.since());
        if self.fails {
            Err(ToolError::not_found("not found"))
        } else {
            Ok(Box::new(End(self.ends.lock().unwrap().clone())))
        }
    }
}

/// Changes of a watched resource have been told, so a watch that takes over from another one need not look at the past.
#[test]
fn a_first_watch_knows_since_when_it_is_wanted_and_later_ones_do_not() {
    let rig = Rig::start();
    let (tell, told) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    let replace = |fails: bool| {
        *rig.watcher.lock().unwrap() = Arc::new(Wanted {
            since: Mutex::new(tell.clone()),
            ends: Mutex::new(end.clone()),
            fails,
        });
        rig.live.announce(Announcement::ResourcesChanged);
    };
    let next = || told.recv_timeout(seconds(30)).unwrap();
    replace(true);
    let first = listen(&rig.live, 1, &["w:a"]);
    let wanted = next();
    assert!(wanted.is_some());
    let second = listen(&rig.live, 2, &["w:a"]);
    replace(false);
    assert_eq!(next(), wanted, "nobody has watched yet, whoever joined since");
    replace(false);
    assert_eq!(next(), None);
    drop((first, second));
    for _ in 0..2 {
        ended.recv_timeout(seconds(30)).unwrap();
    }
    let _again = listen(&rig.live, 3, &["w:a"]);
    assert!(next().is_some(), "somebody else's wish");
}

/// Listens while it begins to watch.
struct Joining {
    live: Arc<Live>,
    joined: Mutex<Sender<(Option<SystemTime>, Arc<Stream>)>>,
}

impl Watch for Joining {
    fn watch(&self, uri: &str, updates: Updates) -> Result<Box<dyn Send>, ToolError> {
        let stream = listen(&self.live, 2, &[uri]);
        let _ = self.joined.lock().unwrap().send((updates.since(), stream));
        Ok(Box::new(()))
    }
}

#[test]
fn who_joins_as_the_last_one_leaves_misses_nothing() {
    let (live, _woken) = heard();
    let (joined, joins) = mpsc::channel();
    let watch: Arc<dyn Watch> = Arc::new(Joining {
        live: Arc::clone(&live),
        joined: Mutex::new(joined),
    });
    let leaves = Mutex::new(Some(listen(&live, 1, &["w:a"])));
    // The listener that made the broadcaster look leaves while it does.
    let watchers = move |_: &str| {
        drop(leaves.lock().unwrap().take());
        Some(Arc::clone(&watch))
    };
    let broadcaster = Broadcaster::start(Arc::clone(&live), ServerHandle::default(), watchers);
    let (since, stream) = joins.recv_timeout(seconds(30)).unwrap();
    assert!(since.is_some(), "the watch does not know what it may have missed");
    drop(stream);
    broadcaster.stop();
}

/// Lists that are watched, which can be exchanged.
struct ListWatchers(Arc<Mutex<Vec<Arc<dyn WatchList>>>>);

impl Watchers for ListWatchers {
    fn of_resource(&self, _: &str) -> Option<Arc<dyn Watch>> {
        None
    }

    fn of_lists(&self) -> Vec<Arc<dyn WatchList>> {
        self.0.lock().unwrap().clone()
    }
}

/// Reports when it begins and ends, and passes on the handle by which changes are told.
struct ListWatcher(&'static str, Mutex<Sender<(String, Option<ListUpdates>)>>);

struct ListGuard(&'static str, Sender<(String, Option<ListUpdates>)>);

impl WatchList for ListWatcher {
    fn watch(&self, updates: ListUpdates) -> Result<Box<dyn Send>, ToolError> {
        let said = self.1.lock().unwrap().clone();
        let _ = said.send((format!("+{}", self.0), Some(updates)));
        if self.0 == "failing" {
            return Err(ToolError::not_found("not found"));
        }
        Ok(Box::new(ListGuard(self.0, said)))
    }
}

impl Drop for ListGuard {
    fn drop(&mut self) {
        let _ = self.1.send((format!("-{}", self.0), None));
    }
}

#[test]
fn lists_are_watched_from_the_beginning_until_they_are_gone() {
    let (live, _woken) = heard();
    let (say, said) = mpsc::channel();
    let watcher = |name| Arc::new(ListWatcher(name, Mutex::new(say.clone()))) as Arc<dyn WatchList>;
    let next = || said.recv_timeout(seconds(30)).unwrap();
    let lists = Arc::new(Mutex::new(vec![watcher("a"), watcher("failing")]));
    let server = ServerHandle::new(Arc::new(Announcer(Arc::clone(&live))));
    let wanted = Interest {
        resources: true,
        ..interest(&[])
    };
    let stream = attached(live.open_listen(Id::Signed(1).into(), &wanted).unwrap(), place(1));
    let broadcaster = Broadcaster::start(Arc::clone(&live), server, ListWatchers(Arc::clone(&lists)));
    let (begun, updates) = next();
    assert_eq!(begun, "+a");
    assert_eq!(next().0, "+failing");
    let updates = updates.unwrap();
    updates.changed();
    let deadline = std::time::Instant::now() + seconds(30);
    while ready(&live, 0).is_empty() {
        assert!(std::time::Instant::now() < deadline, "it is not announced");
        std::thread::yield_now();
    }
    assert_eq!(
        methods(&stream, place(1))[0].0,
        "notifications/resources/list_changed"
    );
    // Another list takes the place of one. The watches of lists that stay go on, and a watch that failed is not tried
    // again.
    let stays = lists.lock().unwrap()[1].clone();
    *lists.lock().unwrap() = vec![stays, watcher("b")];
    live.announce(Announcement::ResourcesChanged);
    assert_eq!(next().0, "-a");
    assert_eq!(next().0, "+b");
    broadcaster.stop();
    assert_eq!(next().0, "-b");
    drop(say);
}

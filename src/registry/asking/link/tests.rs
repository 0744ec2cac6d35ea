//! One link between a call and a shard, on one thread and across several.

use std::pin::{Pin, pin};
use std::sync::Barrier;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;
use std::task::{Context, Wake};
use std::thread;

use serde_json::json;

use super::*;
use crate::registry::{
    Ask, BlockingContext, CallContext, Cancellation, Elicit, ElicitAnswer, ListRoots, Property,
};

/// A listener that counts.
#[derive(Default)]
struct Listener {
    calls: Mutex<Vec<u64>>,
}

impl LinkListener for Listener {
    fn on_emission(&self, call: u64) {
        self.calls.lock().unwrap().push(call);
    }
}

impl Listener {
    fn calls(&self) -> Vec<u64> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A bound link whose call has begun.
fn begun(facts: ClientFacts) -> (Arc<CallLink>, Arc<Listener>) {
    let listener = Arc::new(Listener::default());
    let mut link = CallLink::new(listener.clone(), ServerHandle::default());
    Arc::get_mut(&mut link).unwrap().begin(facts);
    link.bind(7);
    (link, listener)
}

fn facts(asking: Asking) -> ClientFacts {
    ClientFacts {
        capabilities: ClientCapabilities::ELICITATION_FORM.with(ClientCapabilities::ROOTS),
        wants_progress: true,
        log_level: Some(LogLevel::Info),
        asking,
        answers: None,
    }
}

fn taken(link: &CallLink) -> Vec<Emission> {
    let mut into = Vec::new();
    link.take_emissions(&mut into);
    into
}

fn progress(emissions: &[Emission]) -> Vec<f64> {
    let one = |emission: &Emission| match emission {
        Emission::Progress { progress, .. } => Some(*progress),
        _ => None,
    };
    emissions.iter().filter_map(one).collect()
}

fn questions(emissions: Vec<Emission>) -> Vec<AskedQuestion> {
    let one = |emission| match emission {
        Emission::Question(question) => Some(question),
        _ => None,
    };
    emissions.into_iter().filter_map(one).collect()
}

fn name() -> Elicit {
    Elicit::form("Who?").property("name", Property::string())
}

fn accept(name: &str) -> Value {
    json!({"action": "accept", "content": {"name": name}})
}

fn poll<Q: Question>(ask: &mut Ask<Q>, woken: &Arc<Woken>) -> Poll<Result<Q::Answer, ToolError>> {
    let waker = Waker::from(Arc::clone(woken));
    Pin::new(ask).poll(&mut Context::from_waker(&waker))
}

fn ready<Q: Question>(mut ask: Ask<Q>) -> Result<Q::Answer, ToolError> {
    match poll(&mut ask, &Arc::default()) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("pending"),
    }
}

#[test]
fn what_is_said_outside_a_poll_is_told_once_until_it_is_taken() {
    let (link, listener) = begun(facts(Asking::Never));
    let context = BlockingContext::default().with_link(link.clone());
    context.progress(1);
    context.progress(2);
    context.log(LogLevel::Error, "no");
    assert_eq!(listener.calls(), [7]);
    assert_eq!(taken(&link).len(), 3);
    context.progress(3);
    assert_eq!(listener.calls(), [7]);
    assert_eq!(progress(&taken(&link)), [3.0]);
    assert!(listener.calls().is_empty());
}

#[test]
fn what_is_said_in_a_poll_is_told_by_its_end() {
    let (link, listener) = begun(facts(Asking::Never));
    let context = CallContext::with_link(link.clone());
    link.begin_poll();
    assert!(!link.end_poll());
    link.begin_poll();
    context.progress((1, 2));
    assert!(link.end_poll());
    // The messages were not taken: they are still there, and the listener was told already.
    context.progress((2, 2));
    assert!(listener.calls().is_empty());
    assert_eq!(progress(&taken(&link)), [1.0, 2.0]);
    link.begin_poll();
    assert!(!link.end_poll());
}

#[test]
fn what_is_said_before_the_call_has_a_number_is_told_with_it() {
    let listener = Arc::new(Listener::default());
    let mut link = CallLink::new(listener.clone(), ServerHandle::default());
    Arc::get_mut(&mut link).unwrap().begin(facts(Asking::Never));
    BlockingContext::default().with_link(link.clone()).progress(1);
    assert!(listener.calls().is_empty());
    link.bind(3);
    assert_eq!(listener.calls(), [3]);
    // A shard that polls after it has bound the call need not be told.
    let mut link = CallLink::new(listener.clone(), ServerHandle::default());
    Arc::get_mut(&mut link).unwrap().begin(facts(Asking::Never));
    link.begin_poll();
    CallContext::with_link(link.clone()).progress(1);
    link.bind(4);
    assert!(link.end_poll() && listener.calls().is_empty());
}

#[test]
fn progress_increases_and_is_finite() {
    let (link, _) = begun(facts(Asking::Never));
    let context = CallContext::with_link(link.clone());
    for value in [1.0, 1.0, 0.5, f64::NAN, 1.5, f64::INFINITY, -3.0, 2.0] {
        context.progress(value);
    }
    // Taking does not start the count again.
    assert_eq!(progress(&taken(&link)), [1.0, 1.5, 2.0]);
    context.progress(2.0);
    context.progress(Progress::new(3.0).total(f64::NAN).message("on"));
    let expected = Emission::Progress {
        progress: 3.0,
        total: None,
        message: Some("on".to_owned()),
    };
    assert_eq!(taken(&link), [expected]);
}

#[test]
fn only_what_is_wanted_is_said() {
    let (link, listener) = begun(ClientFacts {
        log_level: Some(LogLevel::Warning),
        ..ClientFacts::default()
    });
    let context = CallContext::with_link(link.clone());
    assert!(!context.wants_progress() && !context.wants_log(LogLevel::Notice));
    assert!(context.wants_log(LogLevel::Warning));
    context.progress(1);
    context.log(LogLevel::Notice, "quiet");
    assert!(listener.calls().is_empty() && taken(&link).is_empty());
    context.log_as("db", LogLevel::Warning, json!({"rows": 3}));
    let expected = Emission::Log {
        level: LogLevel::Warning,
        logger: Some("db".to_owned()),
        data: json!({"rows": 3}),
    };
    assert_eq!(taken(&link), [expected]);
    // To have no client is no error.
    let nobody = CallContext::new();
    nobody.progress(1);
    nobody.log(LogLevel::Emergency, "help");
    nobody.close_stream(Duration::ZERO);
    assert!(!nobody.wants_progress() && nobody.client().is_empty());
}

#[test]
fn a_stream_is_cut_once() {
    let (link, _) = begun(facts(Asking::Never));
    let context = CallContext::with_link(link.clone());
    context.close_stream(Duration::from_millis(5));
    context.close_stream(Duration::from_millis(9));
    context.elicitation_complete("e");
    let retry = Duration::from_millis(5);
    let elicitation_id = "e".to_owned();
    let expected = [
        Emission::CloseStream { retry },
        Emission::ElicitationComplete { elicitation_id },
    ];
    assert_eq!(taken(&link), expected);
}

#[test]
fn the_oldest_words_go_first_and_questions_never() {
    let (link, _) = begun(facts(Asking::OnStream));
    let context = CallContext::with_link(link.clone());
    let _asks: Vec<_> = (0..10)
        .map(|at| context.ask(&at.to_string(), ListRoots))
        .collect();
    for step in 1..=UNSENT_MAX {
        context.progress(step);
    }
    context.close_stream(Duration::ZERO);
    assert_eq!(link.dropped(), 11);
    let said = taken(&link);
    assert_eq!(said.len(), UNSENT_MAX);
    let left = progress(&said);
    assert_eq!((left[0], left.len()), (12.0, UNSENT_MAX - 11));
    assert_eq!(questions(said).len(), 10);
}

#[test]
fn unsent_bytes_are_bounded() {
    let (link, _) = begun(facts(Asking::Never));
    let context = CallContext::with_link(link.clone());
    let text = "x".repeat(UNSENT_BYTES_MAX / 4);
    for level in [
        LogLevel::Info,
        LogLevel::Notice,
        LogLevel::Warning,
        LogLevel::Error,
    ] {
        context.log(level, text.clone());
    }
    assert_eq!(link.dropped(), 1);
    // A message that would never fit drops no other.
    context.log(LogLevel::Alert, "x".repeat(UNSENT_BYTES_MAX));
    assert_eq!(link.dropped(), 2);
    let said = taken(&link);
    let level = |emission: &Emission| match emission {
        Emission::Log { level, .. } => *level,
        other => panic!("{other:?}"),
    };
    let levels: Vec<_> = said.iter().map(level).collect();
    assert_eq!(levels, [LogLevel::Notice, LogLevel::Warning, LogLevel::Error]);
    // The messages were taken, so there is room again.
    context.log(LogLevel::Info, text);
    assert_eq!((taken(&link).len(), link.dropped()), (1, 2));
}

#[test]
fn a_question_on_the_stream_is_answered_while_the_call_waits() {
    let (link, listener) = begun(facts(Asking::OnStream));
    let context = CallContext::with_link(link.clone());
    let mut ask = context.ask("who", name());
    assert_eq!(listener.calls(), [7]);
    let woken = Arc::default();
    assert!(poll(&mut ask, &woken).is_pending());
    let sent = questions(taken(&link)).pop().unwrap();
    assert_eq!(
        (sent.number, sent.key.as_str(), link.open_questions()),
        (0, "who", 1)
    );
    assert_eq!(sent.request.method.as_str(), "elicitation/create");
    link.answer(9, Ok(accept("nobody asked")));
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    link.answer(0, Ok(accept("Ada")));
    link.answer(0, Ok(accept("too late")));
    assert_eq!((woken.0.load(Ordering::SeqCst), link.open_questions()), (1, 0));
    let Poll::Ready(answer) = poll(&mut ask, &woken) else {
        panic!("pending");
    };
    assert_eq!(answer, Ok(ElicitAnswer::Accept(json!({"name": "Ada"}))));
    let again = poll(&mut ask, &woken);
    assert_eq!(again, Poll::Ready(Err(ToolError::Cancelled)));
}

#[test]
fn an_answer_may_come_before_the_first_look() {
    let (link, _) = begun(facts(Asking::OnStream));
    let ask = CallContext::with_link(link.clone()).ask("who", name());
    link.answer(0, Ok(accept("Ada")));
    link.close();
    assert_eq!(ready(ask), Ok(ElicitAnswer::Accept(json!({"name": "Ada"}))));
}

#[test]
fn errors_instead_of_an_answer_are_the_tools_to_pass_on() {
    let (link, _) = begun(facts(Asking::OnStream));
    let context = CallContext::with_link(link.clone());
    let refused = AnswerError::Refused {
        code: -1,
        message: "no".to_owned(),
    };
    let cases = [
        (
            Err(refused),
            ToolError::message("the client answered with error -1: no"),
        ),
        (Err(AnswerError::Cancelled), ToolError::Cancelled),
        (Err(AnswerError::TimedOut), ToolError::TimedOut),
        (
            Err(AnswerError::Unavailable),
            ToolError::message("the server cannot put more questions to clients at present"),
        ),
    ];
    for (at, (answer, expected)) in cases.into_iter().enumerate() {
        let ask = context.ask(&at.to_string(), name());
        link.answer(at as u32, answer);
        assert_eq!(ready(ask), Err(expected));
    }
    let bad = [
        json!({"action": "accept", "content": {"name": 3}}),
        json!(["accept", {"name": "Ada"}]),
        json!("accept"),
    ];
    for (at, answer) in (4..).zip(bad) {
        let ask = context.ask(&at.to_string(), name());
        link.answer(at, Ok(answer));
        assert!(matches!(ready(ask), Err(ToolError::InvalidAnswer(_))), "{at}");
    }
}

#[test]
fn a_question_given_up_is_not_sent_or_not_waited_for() {
    let (link, _) = begun(facts(Asking::OnStream));
    let context = CallContext::with_link(link.clone());
    drop(context.ask("unsent", name()));
    assert!(taken(&link).is_empty());
    let sent = context.ask("sent", name());
    assert_eq!(questions(taken(&link)).len(), 1);
    drop(sent);
    assert_eq!(link.open_questions(), 0);
    link.answer(1, Ok(accept("nobody")));
}

#[test]
fn questions_for_a_retry_are_noted_together_before_any_fails() {
    let (link, listener) = begun(facts(Asking::ByRetry));
    let context = CallContext::with_link(link.clone());
    let (who, roots) = (context.ask("who", name()), context.ask("roots", ListRoots));
    assert_eq!(ready(who), Err(ToolError::InputRequired));
    assert_eq!(ready(roots), Err(ToolError::InputRequired));
    let unanswered = link.take_unanswered();
    let keys: Vec<_> = unanswered
        .iter()
        .map(|question| (question.number, question.key.as_str()))
        .collect();
    assert_eq!(keys, [(0, "who"), (1, "roots")]);
    assert!(link.take_unanswered().is_empty() && taken(&link).is_empty() && listener.calls().is_empty());
    assert_eq!((link.open_questions(), link.answers()), (0, None));
}

#[test]
fn an_answer_that_came_with_the_request_needs_no_capability() {
    let answers = json!({"who": accept("Ada"), "bad": {"action": "maybe"}, "unasked": 1});
    let (link, _) = begun(ClientFacts {
        asking: Asking::ByRetry,
        answers: answers.as_object().cloned().map(Box::new),
        ..ClientFacts::default()
    });
    let context = CallContext::with_link(link.clone());
    let accepted = ElicitAnswer::Accept(json!({"name": "Ada"}));
    assert_eq!(ready(context.ask("who", name())), Ok(accepted));
    assert!(matches!(
        ready(context.ask("bad", name())),
        Err(ToolError::InvalidAnswer(_))
    ));
    let needs = ClientCapabilities::ROOTS;
    assert_eq!(
        ready(context.ask("roots", ListRoots)),
        Err(ToolError::MissingCapability(needs))
    );
    assert!(link.take_unanswered().is_empty());
    // Answers that nobody asked for are not carried into the next round.
    let asked = json!({"who": answers["who"], "bad": answers["bad"]});
    assert_eq!(link.answers().map(Value::Object), Some(asked));
}

#[test]
fn who_cannot_be_asked_is_not_asked() {
    let needs = ClientCapabilities::ELICITATION_FORM;
    let (never, _) = begun(facts(Asking::Never));
    let (unable, _) = begun(ClientFacts {
        capabilities: ClientCapabilities::ROOTS,
        asking: Asking::OnStream,
        ..ClientFacts::default()
    });
    for context in [
        CallContext::new(),
        CallContext::with_link(never.clone()),
        CallContext::with_link(unable.clone()),
    ] {
        let refused = ready(context.ask("who", name()));
        assert_eq!(refused, Err(ToolError::MissingCapability(needs)));
    }
    assert!(taken(&never).is_empty() && taken(&unable).is_empty());
}

#[test]
fn keys_are_unique_short_and_limited_in_number() {
    for asking in [Asking::OnStream, Asking::ByRetry] {
        let (link, _) = begun(facts(asking));
        let context = CallContext::with_link(link.clone());
        let is_fault = |ask| matches!(ready(ask), Err(ToolError::Internal(_)));
        let _first = context.ask("twice", name());
        assert!(is_fault(context.ask("twice", name())));
        assert!(is_fault(context.ask("", name())));
        assert!(is_fault(
            context.ask(&"k".repeat(QUESTION_KEY_BYTES_MAX + 1), name())
        ));
        let asks: Vec<_> = (1..QUESTIONS_MAX)
            .map(|at| context.ask(&at.to_string(), name()))
            .collect();
        assert!(is_fault(context.ask("one more", name())));
        drop(asks);
        assert!(is_fault(context.ask("and after that", name())));
    }
}

#[test]
fn after_the_end_nothing_is_said_or_asked() {
    let (link, listener) = begun(facts(Asking::OnStream));
    let context = CallContext::with_link(link.clone());
    let mut ask = context.ask("who", name());
    let woken = Arc::default();
    assert!(poll(&mut ask, &woken).is_pending());
    listener.calls();
    link.close();
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert_eq!(poll(&mut ask, &woken), Poll::Ready(Err(ToolError::Cancelled)));
    context.progress(1);
    context.log(LogLevel::Error, "late");
    context.close_stream(Duration::ZERO);
    assert_eq!(ready(context.ask("late", name())), Err(ToolError::Cancelled));
    assert!(!context.wants_progress() && !context.wants_log(LogLevel::Error));
    assert!(taken(&link).is_empty() && listener.calls().is_empty());
}

#[test]
fn a_new_call_finds_nothing_of_the_last() {
    let (mut link, listener) = begun(facts(Asking::OnStream));
    let context = CallContext::with_link(link.clone());
    context.progress(5);
    let ask = context.ask("who", name());
    link.close();
    assert!(Arc::get_mut(&mut link).is_none());
    drop((context, ask));
    listener.calls();
    Arc::get_mut(&mut link).unwrap().begin(facts(Asking::ByRetry));
    assert!(taken(&link).is_empty());
    let context = CallContext::with_link(link.clone());
    context.progress(1);
    assert!(listener.calls().is_empty());
    assert_eq!(ready(context.ask("who", name())), Err(ToolError::InputRequired));
    link.bind(8);
    assert_eq!((listener.calls(), progress(&taken(&link))), (vec![8], vec![1.0]));
    assert_eq!(link.take_unanswered().len(), 1);
}

#[test]
fn a_blocked_question_is_answered_from_another_thread() {
    let (link, listener) = begun(facts(Asking::OnStream));
    let context = BlockingContext::default().with_link(link.clone());
    let asker = thread::spawn(move || {
        let two = (
            context.begin_ask("who", name()),
            context.begin_ask("roots", ListRoots),
        );
        (two.0.wait(&context), two.1.wait(&context))
    });
    let mut asked = Vec::new();
    while asked.len() < 2 {
        asked.extend(questions(taken(&link)));
        thread::yield_now();
    }
    // The answers come in the other order than they are awaited.
    link.answer(1, Ok(json!({"roots": [{"uri": "file:///a"}]})));
    link.answer(0, Ok(json!({"action": "decline"})));
    let (who, roots) = asker.join().unwrap();
    assert_eq!(who, Ok(ElicitAnswer::Decline));
    assert_eq!(roots.unwrap()[0].uri, "file:///a");
    assert!((1..=2).contains(&listener.calls().len()));
}

#[test]
fn closing_and_cancelling_end_a_blocked_question() {
    let ends: [fn(&CallLink, &Cancellation); 2] =
        [|link, _| link.close(), |_, cancellation| cancellation.cancel()];
    for end in ends {
        let (link, _) = begun(facts(Asking::OnStream));
        let cancellation = Cancellation::new();
        let context = BlockingContext::new(cancellation.clone()).with_link(link.clone());
        let asker = thread::spawn(move || context.ask("who", name()));
        while link.open_questions() == 0 {
            thread::yield_now();
        }
        end(&link, &cancellation);
        assert_eq!(asker.join().unwrap(), Err(ToolError::Cancelled));
        assert_eq!(link.open_questions(), 0);
    }
}

/// A call that asks and waits, a client that answers and a shard that closes run at once: in every order the call ends,
/// with the answer or without.
#[test]
fn answers_and_ends_may_race() {
    for round in 0..400 {
        let (link, _) = begun(facts(Asking::OnStream));
        let context = BlockingContext::default().with_link(link.clone());
        let early = (round % 2 == 0).then(|| context.begin_ask("who", name()));
        let barrier = Barrier::new(3);
        let answer = thread::scope(|scope| {
            let asker = scope.spawn(|| {
                barrier.wait();
                early
                    .unwrap_or_else(|| context.begin_ask("who", name()))
                    .wait(&context)
            });
            scope.spawn(|| {
                barrier.wait();
                link.answer(0, Ok(accept("Ada")));
            });
            barrier.wait();
            link.close();
            asker.join().unwrap()
        });
        match answer {
            Ok(ElicitAnswer::Accept(content)) => assert_eq!(content, json!({"name": "Ada"})),
            other => assert_eq!(other, Err(ToolError::Cancelled), "round {round}"),
        }
        assert_eq!(link.open_questions(), 0);
    }
}

/// Unparks a thread.
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn an_answer_from_another_thread_always_wakes_a_future() {
    for _ in 0..400 {
        let (link, _) = begun(facts(Asking::OnStream));
        let mut ask = CallContext::with_link(link.clone()).ask("who", name());
        let answerer = thread::spawn(move || link.answer(0, Ok(accept("Ada"))));
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let answer = loop {
            match Pin::new(&mut ask).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(answer) => break answer,
                Poll::Pending => thread::park(),
            }
        };
        assert_eq!(answer, Ok(ElicitAnswer::Accept(json!({"name": "Ada"}))));
        answerer.join().unwrap();
    }
}

/// A worker emits while the shard polls, ends its poll and takes, over and over. Nothing is lost, nothing comes twice,
/// and every message has been announced: by the end of a poll or to the listener.
#[test]
fn nothing_said_from_another_thread_is_forgotten() {
    const STEPS: u32 = 20_000;
    let (told, hear) = mpsc::channel();
    struct Tell(mpsc::Sender<()>);
    impl LinkListener for Tell {
        fn on_emission(&self, _: u64) {
            self.0.send(()).unwrap();
        }
    }
    let mut link = CallLink::new(Arc::new(Tell(told)), ServerHandle::default());
    Arc::get_mut(&mut link).unwrap().begin(facts(Asking::Never));
    link.bind(1);
    let context = BlockingContext::default().with_link(link.clone());
    let speaker = thread::spawn(move || {
        for step in 1..=STEPS {
            context.progress(step);
            if step % 64 == 0 {
                thread::yield_now();
            }
        }
        context.log(LogLevel::Error, "end");
    });
    let mut seen = Vec::new();
    let (mut is_over, mut dropped) = (false, 0);
    while !is_over {
        link.begin_poll();
        let has_more = link.end_poll();
        // The shard was not told of anything: then the listener will be, or a message is lost for ever.
        if !has_more {
            hear.recv().unwrap();
        }
        let said = taken(&link);
        is_over = matches!(said.last(), Some(Emission::Log { .. }));
        seen.extend(progress(&said));
        dropped = link.dropped();
    }
    speaker.join().unwrap();
    assert!(seen.is_sorted_by(|a, b| a < b));
    assert_eq!(seen.len() as u64 + dropped, u64::from(STEPS));
}

#[test]
fn a_joined_pair_of_questions_goes_out_at_once() {
    let (link, _) = begun(facts(Asking::OnStream));
    let context = CallContext::with_link(link.clone());
    let call = async {
        let (who, roots) = (context.ask("who", name()), context.ask("roots", ListRoots));
        Ok::<_, ToolError>((who.await?, roots.await?))
    };
    let mut call = pin!(call);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(call.as_mut().poll(&mut cx).is_pending());
    assert_eq!(questions(taken(&link)).len(), 2);
    link.answer(1, Ok(json!({"roots": []})));
    link.answer(0, Ok(json!({"action": "cancel"})));
    let Poll::Ready(both) = call.poll(&mut cx) else {
        panic!("pending");
    };
    assert_eq!(both, Ok((ElicitAnswer::Cancel, Vec::new())));
}

#[test]
fn what_a_poll_and_another_thread_say_comes_once_and_progress_increases() {
    const ROUNDS: u32 = 2_000;
    let (link, _) = begun(facts(Asking::Never));
    let polled = CallContext::with_link(link.clone());
    let worker = BlockingContext::default().with_link(link.clone());
    let step = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let theirs = Arc::clone(&step);
    let next = |step: &std::sync::atomic::AtomicU32| step.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    let speaker = thread::spawn(move || {
        for round in 0..ROUNDS {
            worker.progress(next(&theirs) + 1);
            worker.log(LogLevel::Error, format!("worker {round}"));
        }
    });
    let (mut logs, mut steps) = (Vec::new(), Vec::new());
    let mut take = |said: Vec<Emission>| {
        steps.extend(progress(&said));
        logs.extend(said.into_iter().filter_map(|emission| match emission {
            Emission::Log { data, .. } => Some(data.as_str().unwrap().to_owned()),
            _ => None,
        }));
    };
    for round in 0..ROUNDS {
        link.begin_poll();
        polled.progress(next(&step) + 1);
        polled.log(LogLevel::Error, format!("polled {round}"));
        link.end_poll();
        take(taken(&link));
    }
    speaker.join().unwrap();
    take(taken(&link));
    assert!(steps.is_sorted_by(|a, b| a < b), "{steps:?}");
    for speaker in ["polled", "worker"] {
        let own: Vec<&String> = logs.iter().filter(|log| log.starts_with(speaker)).collect();
        let expected = (0..ROUNDS).map(|round| format!("{speaker} {round}"));
        let lost = u64::from(ROUNDS) - own.len() as u64;
        assert!(lost <= link.dropped(), "{speaker} lost {lost}");
        assert!(
            lost > 0 || own.into_iter().eq(&expected.collect::<Vec<_>>()),
            "{speaker}"
        );
    }
}

#[test]
fn a_link_that_is_used_again_says_nothing_of_the_call_before() {
    let (mut link, _) = begun(facts(Asking::Never));
    link.begin_poll();
    CallContext::with_link(link.clone()).progress(1);
    assert!(link.end_poll());
    // Nobody takes the message, because the call is gone.
    link.close();
    Arc::get_mut(&mut link).unwrap().begin(facts(Asking::Never));
    assert!(taken(&link).is_empty());
    link.begin_poll();
    assert!(!link.end_poll());
    assert!(taken(&link).is_empty());
}

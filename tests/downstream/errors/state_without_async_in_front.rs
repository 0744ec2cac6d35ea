//~ lifetime may not live long enough
fn main() {
    Tool::new("search")
        .run(|tracker: &Tracker, _: CallContext, args: Search| async move { Ok(tracker.find(&args.text).await?) });
}

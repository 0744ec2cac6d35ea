//~ async closure does not implement `Fn` because it captures state from its environment
fn main() {
    let words = String::from("a text");
    Tool::new("search")
        .run_tokio(async move |tracker: &Tracker, _: CallContext| Ok(tracker.find(&words).await?));
}

//~ a registered function gives a `Result<_, ToolError>`, not `Result<
//~ note: end it with `Ok(…)`; in it, `?` works on any `std::error::Error`
fn main() {
    Tool::new("search").run(async |tracker: &Tracker, _: CallContext, args: Search| tracker.find(&args.text).await);
}

//~ future cannot be sent between threads safely
//~ the trait `Send` is not implemented for `Rc<
//~ future is not `Send` as this value is used across an await
fn main() {
    Tool::new("search").run_tokio(async |tracker: &Tracker, _: CallContext, args: Search| {
        let shared = Rc::new(17);
        tracker.find(&args.text).await?;
        Ok(shared.to_string())
    });
}

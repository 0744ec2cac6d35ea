//~ this function cannot run on tokio
//~ not asynchronous, its parameters are others, or its future is not `Send`
//~ note: `args` may be left out; what lives across an `.await` is `Send`
//~ note: an `Rc`, or a guard of a `Mutex` or `RefCell`, is none: drop it before the `.await`
impl Tracker {
    async fn search(&self, _: CallContext, args: Search) -> Result<String, ToolError> {
        let shared = Rc::new(17);
        self.find(&args.text).await?;
        Ok(shared.to_string())
    }
}

fn main() {
    Tool::new("search").run_tokio(Tracker::search);
}

//~ this function cannot run on a shard
//~ not asynchronous, or its parameters are others
//~ note: without state it is `|ctx: CallContext, args: Args| async move { … }`
//~ note: with state it is `async |state: &State, ctx: CallContext, args: Args| { … }`, or an `async fn` of these
fn main() {
    Tool::new("search")
        .run(async |_: CallContext, tracker: &Tracker, args: Search| Ok(tracker.find(&args.text).await?));
}

//~ this function cannot run on a shard
//~ note: with state it is `async |state: &State, ctx: CallContext, args: Args| { … }`, or an `async fn` of these
fn main() {
    Tool::new("search").run(async |tracker: Arc<Tracker>, _: CallContext, args: Search| Ok(args.text));
}

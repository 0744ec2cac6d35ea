//~ this function cannot run on a shard
//~ not asynchronous, or its parameters are others
//~ a function that blocks is added by `…_blocking`
fn main() {
    Tool::new("search").run(|_: CallContext, args: Search| Ok(args.text));
}

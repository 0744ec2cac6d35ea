//~ this function cannot run on a worker
//~ its parameters are others
//~ note: without state it is `|ctx: &BlockingContext, args: Args| { … }`
fn main() {
    Tool::new("search").run_blocking(|_: CallContext, args: Search| Ok(args.text));
}

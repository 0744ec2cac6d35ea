//~ the trait bound `Loose: JsonSchema` is not satisfied
#[derive(Deserialize)]
struct Loose {
    text: String,
}

fn main() {
    Tool::new("search").run(|_: CallContext, args: Loose| async move { Ok(args.text) });
}

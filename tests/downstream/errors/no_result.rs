//~ a registered function gives a `Result<_, ToolError>`, not `
//~ note: end it with `Ok(…)`; in it, `?` works on any `std::error::Error`
fn main() {
    Tool::new("search").run(|_: CallContext, args: Search| async move { args.text });
}

//~ a tool's function cannot return `u64`
//~ not a tool's result
//~ note: return a `String`, a `ContentBlock` or several, a `ToolOutput`, or `Structured(value)`
fn main() {
    Tool::new("search").run(|_: CallContext, _: Search| async { Ok(17_u64) });
}

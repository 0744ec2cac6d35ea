//~ a prompt's function cannot return `u64`
//~ note: return a `String`, a `PromptMessage` or a `Vec` of them, or a `PromptOutput`
fn main() {
    Prompt::new("review").run(|_: CallContext| async { Ok(17_u64) });
}

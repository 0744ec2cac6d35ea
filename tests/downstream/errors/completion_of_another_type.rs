//~ a completion function cannot return `u64`
//~ note: return a `Vec<String>`, or a `Completion` that says whether there are more
fn main() {
    Prompt::new("review").complete("language", |_: CallContext, _: CompletionRequest| async { Ok(17_u64) });
}

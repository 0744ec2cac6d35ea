//~ a function that reads a resource cannot return `u64`
//~ note: return a `String`, a `Vec<u8>`, a `Structured` value as JSON, or a `ReadOutput` with a MIME type of its own
fn main() {
    Resource::new("tracker://count", "count").read(|_: CallContext| async { Ok(17_u64) });
}

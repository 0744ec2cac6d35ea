//~ a registry cannot hold `ToolBuilder<DerivedSchema>`
//~ no tool, prompt, resource or toolset
//~ a tool or prompt is whole once it has its function: `.run(…)`, `.run_tokio(…)` or `.run_blocking(…)`
fn main() {
    Registry::builder().add(Tool::new("search"));
}

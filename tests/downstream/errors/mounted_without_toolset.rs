//~ `Tracker` is no toolset
//~ note: it is one once it implements `Toolset`, whose `register` adds its tools, resources and prompts
fn main() {
    Registry::builder().mount("team", Tracker);
}

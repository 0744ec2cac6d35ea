//! Single tools.

use crate::config::kind::Kind;
use crate::config::section::section;
use crate::config::spec::option;
use crate::config::tools::ToolOverrides;

section! {
    /// Single tools, whatever their authors say of them.
    pub struct ToolOptions {
        /// Tools, none twice.
        pub overrides: ToolOverrides = ToolOverrides::default() => option("tool", "NAME:KEY=VALUE,...", Kind::Tools,
            "Limits of one tool, such as search:concurrency=4,queue=100,timeout=5s").repeatable().derived("as each tool says"),
    }
}

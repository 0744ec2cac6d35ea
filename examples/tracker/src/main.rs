//! An issue tracker for agents, at http://127.0.0.1:8080/mcp: `cargo run -- issues.db`.

#[cfg(test)]
mod tests;

use std::sync::Mutex;

use rusqlite::{Connection, Params, Row, ToSql};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir::{
    BlockingContext, CallContext, CompletionRequest, ContentBlock, Elicit, ForClient, Prompt, PromptArgument, Property,
    Registry,
};
use weir::{
    RegistryBuilder, RegistryError, ResourceTemplate, Server, Structured, TaskSupport, Tool, ToolError, Toolset,
};

const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS issues (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT NOT NULL,
    label TEXT NOT NULL DEFAULT '', assignee TEXT NOT NULL DEFAULT '', is_open INTEGER NOT NULL DEFAULT TRUE)";

struct Tracker {
    database: Mutex<Connection>,
    http: reqwest::Client,
}

#[derive(Serialize, JsonSchema)]
struct Issue {
    id: i64,
    title: String,
    body: String,
    label: String,
    assignee: String,
    is_open: bool,
}

#[derive(Deserialize, JsonSchema)]
struct Draft {
    #[schemars(length(min = 1, max = 200))]
    title: String,
    #[serde(default)]
    body: String,
}

#[derive(Deserialize, JsonSchema)]
struct Id {
    id: i64,
}

#[derive(Deserialize, JsonSchema)]
struct Text {
    id: i64,
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Words {
    /// What the title or the body contains.
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Source {
    /// Where an issue is served as JSON, with `title` and `body`.
    url: String,
}

impl Tracker {
    fn new(database: Connection) -> rusqlite::Result<Self> {
        database.execute_batch(TABLE)?;
        Ok(Self { database: Mutex::new(database), http: reqwest::Client::new() })
    }

    fn select(&self, condition: &str, values: impl Params) -> rusqlite::Result<Vec<Issue>> {
        let issue = |row: &Row<'_>| {
            let (id, title, body) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(Issue { id, title, body, label: row.get(3)?, assignee: row.get(4)?, is_open: row.get(5)? })
        };
        let database = self.database.lock().unwrap();
        database.prepare_cached(&format!("SELECT * FROM issues WHERE {condition}"))?.query_map(values, issue)?.collect()
    }

    fn get(&self, _: &BlockingContext, Id { id }: Id) -> Result<Structured<Issue>, ToolError> {
        let issue = self.select("id = ?", [id])?.pop();
        issue.map(Structured).ok_or_else(|| ToolError::not_found(format!("there is no issue {id}")))
    }

    fn search(&self, _: &BlockingContext, Words { text }: Words) -> Result<Vec<ContentBlock>, ToolError> {
        let issues = self.select("instr(title || ' ' || body, ?)", [text])?;
        Ok(issues
            .iter()
            .map(|it| ContentBlock::resource_link(format!("tracker://issue/{}", it.id), &it.title))
            .collect())
    }

    fn open(&self, _: &BlockingContext, draft: Draft) -> Result<String, ToolError> {
        let database = self.database.lock().unwrap();
        database.execute("INSERT INTO issues (title, body) VALUES (?, ?)", [draft.title, draft.body])?;
        Ok(format!("Issue {} is open.", database.last_insert_rowid()))
    }

    /// The column is one of ours; what an agent says is bound as a value.
    fn set(&self, ctx: &BlockingContext, id: i64, column: &str, value: &dyn ToSql) -> Result<&'static str, ToolError> {
        self.change(ctx, id, &format!("UPDATE issues SET {column} = ?2 WHERE id = ?1"), (id, value))?;
        Ok("Done.")
    }

    fn change(&self, ctx: &BlockingContext, id: i64, sql: &str, values: impl Params) -> Result<(), ToolError> {
        if self.database.lock().unwrap().execute(sql, values)? == 0 {
            return Err(ToolError::not_found(format!("there is no issue {id}")));
        }
        ctx.resource_updated(&format!("tracker://issue/{id}"));
        Ok(())
    }

    fn delete(&self, ctx: &BlockingContext, Id { id }: Id) -> Result<&'static str, ToolError> {
        let form = Elicit::form(format!("Delete issue {id}?")).property("sure", Property::boolean());
        match ctx.ask("sure", form)?.accepted() {
            Some(answer) if answer["sure"] == true => self.change(ctx, id, "DELETE FROM issues WHERE id = ?", [id])?,
            _ => return Ok("Nothing was deleted."),
        }
        Ok("The issue is gone.")
    }

    async fn import(&self, _: CallContext, source: Source) -> Result<String, ToolError> {
        let response = self.http.get(&source.url).send().await.for_client_with_causes()?;
        let draft = response.error_for_status().for_client()?.json::<Draft>().await.for_client_with_causes()?;
        // SQLite blocks, and this is a thread of tokio's.
        tokio::task::block_in_place(|| self.open(&BlockingContext::default(), draft))
    }

    fn export(&self, ctx: &BlockingContext) -> Result<String, ToolError> {
        let (issues, mut text) = (self.select("TRUE", [])?, String::new());
        for (index, issue) in issues.iter().enumerate() {
            if ctx.is_cancelled() {
                return Err(ToolError::Cancelled);
            }
            text += &format!("# {}: {}\n\n{}\n", issue.id, issue.title, issue.body);
            ctx.progress((index + 1, issues.len()));
        }
        Ok(text)
    }

    fn ids(&self, _: &BlockingContext, typed: CompletionRequest) -> Result<Vec<String>, ToolError> {
        Ok(self.select("id LIKE ? || '%'", [typed.value()])?.iter().map(|issue| issue.id.to_string()).collect())
    }

    fn triage(&self, ctx: &BlockingContext, id: Id) -> Result<String, ToolError> {
        let Structured(issue) = self.get(ctx, id)?;
        Ok(format!("How urgent is this, and whose is it?\n\n{}\n\n{}", issue.title, issue.body))
    }
}

impl Toolset for Tracker {
    fn register(&self, registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
        let tool = |name: &str, description: &str| Tool::new(name).description(description);
        for (name, column) in [("assign", "assignee"), ("label", "label"), ("rewrite", "body")] {
            registry.add(tool(name, &format!("Sets the {column} of an issue.")).run_blocking(
                move |this: &Self, ctx: &BlockingContext, args: Text| this.set(ctx, args.id, column, &args.text),
            ))?;
        }
        for (name, is_open) in [("close", false), ("reopen", true)] {
            registry.add(tool(name, "Changes the state of an issue.").run_blocking(
                move |this: &Self, ctx: &BlockingContext, args: Id| this.set(ctx, args.id, "is_open", &is_open),
            ))?;
        }
        let export = tool("export", "Writes all issues down.").task(TaskSupport::Optional);
        let issue = ResourceTemplate::new("tracker://issue/{id}", "issue").complete_blocking("id", Self::ids);
        let triage = Prompt::new("triage").argument(PromptArgument::required("id")).complete_blocking("id", Self::ids);
        registry
            .add(tool("open", "Opens an issue.").run_blocking(Self::open))?
            .add(tool("get", "Shows an issue.").read_only().run_blocking(Self::get))?
            .add(tool("search", "Finds issues.").read_only().run_blocking(Self::search))?
            .add(tool("delete", "Deletes an issue, if the user is sure.").run_blocking(Self::delete))?
            .add(tool("import", "Opens an issue that is elsewhere.").run_tokio(Self::import))?
            .add(export.run_blocking(Self::export))?
            .add(issue.read_blocking(Self::get))?
            .add(triage.run_blocking(Self::triage))?;
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut registry = Registry::builder();
    registry.add(Tracker::new(Connection::open(std::env::args().nth(1).unwrap_or("issues.db".into()))?)?)?;
    let server = Server::builder("tracker", "1.0.0").listen(([127, 0, 0, 1], 8080).into());
    server.serve_until_signal(registry.build(), |server| println!("serving on {}", server.url()))?;
    Ok(())
}

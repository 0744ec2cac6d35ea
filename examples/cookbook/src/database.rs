//! A database: SQLite, on the threads for blocking work.
//!
//! For drivers that block. Not for those that are asynchronous (sqlx, tokio-postgres): their pool is the state just as
//! well, and their tools are added by `run_tokio`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, params};
use schemars::JsonSchema;
use serde::Deserialize;
use weir::{BlockingContext, Registry, RegistryError, Tool, ToolError};

pub struct Notes(Mutex<Connection>);

#[derive(Deserialize, JsonSchema)]
pub struct Text {
    #[schemars(length(min = 1, max = 1_000))]
    text: String,
}

impl Notes {
    pub fn new(database: Connection) -> rusqlite::Result<Self> {
        database.execute_batch("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")?;
        Ok(Self(Mutex::new(database)))
    }

    fn database(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, _: &BlockingContext, note: Text) -> Result<String, ToolError> {
        let database = self.database();
        database.execute("INSERT INTO notes (text) VALUES (?)", params![note.text])?;
        Ok(format!("Note {} is written.", database.last_insert_rowid()))
    }

    fn find(&self, _: &BlockingContext, wanted: Text) -> Result<String, ToolError> {
        let database = self.database();
        let mut select = database.prepare_cached("SELECT text FROM notes WHERE instr(text, ?) LIMIT 100")?;
        let found: Vec<String> = select.query_map([wanted.text], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(found.join("\n"))
    }
}

pub fn registry(notes: Notes) -> Result<Registry, RegistryError> {
    let mut registry = Registry::builder().state(Arc::new(notes));
    registry.add(Tool::new("add").description("Writes a note.").run_blocking(Notes::add))?;
    registry.add(Tool::new("find").description("Finds notes.").read_only().run_blocking(Notes::find))?;
    Ok(registry.build())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir::testing::Client;

    use super::*;

    #[test]
    fn notes_are_found_again() {
        let notes = Notes::new(Connection::open_in_memory().unwrap()).unwrap();
        let mut client = Client::new(registry(notes).unwrap());
        assert_eq!(client.call("add", json!({"text": "buy 'milk'; --"})).text(), "Note 1 is written.");
        assert_eq!(client.call("find", json!({"text": "'milk'"})).text(), "buy 'milk'; --");
        assert_eq!(client.call("find", json!({"text": "bread"})).text(), "");
        assert!(client.call("add", json!({"text": ""})).is_error());
    }
}

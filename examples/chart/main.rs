//! A chart beside a tool's result, in hosts that show apps (MCP Apps), and text everywhere else.
//!
//! `cargo run --example chart [ADDRESS]`
//!
//! The tool gives the numbers as a structured result. A host that shows apps reads `ui://sales/chart`, gives the page
//! the numbers, and needs no more than a sentence for its model; other clients get the numbers as text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir::{
    AppSettings, CallContext, ClientCapabilities, Registry, Resource, Server, Structured, Tool, ToolError,
};

const PAGE: &str = "ui://sales/chart";
const YEARS: std::ops::RangeInclusive<u16> = 2024..=2026;

#[derive(Deserialize, JsonSchema)]
struct Asked {
    /// From 2024 to 2026.
    year: u16,
}

#[derive(Serialize, JsonSchema)]
struct Sales {
    year: u16,
    quarters: Vec<Quarter>,
}

#[derive(Serialize, JsonSchema)]
struct Quarter {
    name: String,
    /// In thousands.
    amount: u32,
}

impl Sales {
    fn of(year: u16) -> Result<Self, ToolError> {
        if !YEARS.contains(&year) {
            return Err(ToolError::not_found(format!("nothing is known of {year}")));
        }
        let quarter = |number: u16| Quarter {
            name: format!("Q{number}"),
            amount: u32::from((year - 2020) * 10 + number * number),
        };
        Ok(Self {
            year,
            quarters: (1..=4).map(quarter).collect(),
        })
    }

    fn summary(&self) -> String {
        let sum: u32 = self.quarters.iter().map(|quarter| quarter.amount).sum();
        format!("Sales of {}: {sum} thousand.", self.year)
    }

    fn table(&self) -> String {
        let lines = self.quarters.iter().map(|quarter| {
            let bar = "#".repeat(quarter.amount as usize / 2);
            format!("\n{} {:>3} {bar}", quarter.name, quarter.amount)
        });
        self.summary() + &lines.collect::<String>()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".to_owned());
    let mut registry = Registry::builder();
    registry.add(
        Tool::new("sales")
            .description("The sales of a year, by quarter.")
            .read_only()
            .app(PAGE)
            .run(|ctx: CallContext, asked: Asked| async move {
                let sales = Sales::of(asked.year)?;
                let text = if ctx.client().contains(ClientCapabilities::APPS) {
                    sales.summary()
                } else {
                    sales.table()
                };
                Ok(Structured(sales).with_text(text))
            }),
    )?;
    registry.add(
        Resource::app(PAGE, "chart")
            .description("Bars for the quarters of a year.")
            .app_settings(AppSettings::new().border(true))
            .read(|_: CallContext| async { Ok(include_str!("chart.html")) }),
    )?;
    Server::builder("chart", "1.0.0")
        .listen(address.parse()?)
        .serve_until_signal(registry.build(), |server| println!("serving on {}", server.url()))?;
    Ok(())
}

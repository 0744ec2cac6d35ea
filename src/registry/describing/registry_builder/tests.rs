//! Functions that borrow a state.

use std::sync::atomic::{AtomicU64, Ordering};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::super::called::Called;
use super::*;
use crate::registry::{
    BlockingContext, CallContext, CompletionRequest, ListRequest, NoArguments, Prompt, Registrable,
    RegistryError, Resource, ResourceLister, ResourcePage, ResourceTemplate, Tool, ToolError,
};

struct Shop {
    name: &'static str,
    sold: AtomicU64,
}

#[derive(Deserialize, JsonSchema)]
struct Sale {
    pieces: u64,
}

#[derive(Deserialize)]
struct Item {
    item: String,
}

impl Shop {
    fn new(name: &'static str) -> Arc<Self> {
        let sold = AtomicU64::new(0);
        Arc::new(Self { name, sold })
    }

    async fn sell(&self, _: CallContext, sale: Sale) -> Result<String, ToolError> {
        let sold = self.sold.fetch_add(sale.pieces, Ordering::Relaxed) + sale.pieces;
        Ok(format!("{} has sold {sold}", self.name))
    }

    fn count(&self, _: &BlockingContext) -> Result<String, ToolError> {
        Ok(self.sold.load(Ordering::Relaxed).to_string())
    }
}

#[test]
fn every_kind_of_function_borrows_the_state() {
    let mut registry = Registry::builder().state(Shop::new("books"));
    registry.add(Tool::new("sell").run(Shop::sell)).unwrap();
    registry
        .add(Tool::new("count").run_blocking(Shop::count))
        .unwrap();
    registry
        .add(
            Tool::new("sell_two")
                .run(async |shop: &Shop, ctx: CallContext| shop.sell(ctx, Sale { pieces: 2 }).await),
        )
        .unwrap()
        .add(
            Tool::new("part").run_blocking(|shop: &Shop, _: &BlockingContext, sale: Sale| {
                Ok(format!(
                    "{} of {}",
                    sale.pieces,
                    shop.count(&BlockingContext::default())?
                ))
            }),
        )
        .unwrap();
    let name = async |shop: &Shop, _: CallContext| Ok(shop.name);
    registry
        .add(Resource::new("shop:name", "name").read(name))
        .unwrap();
    registry
        .add(Resource::new("shop:sold", "sold").read_blocking(Shop::count))
        .unwrap()
        .add(
            ResourceTemplate::new("shop:item/{item}", "item")
                .complete(
                    "item",
                    async |shop: &Shop, _: CallContext, typed: CompletionRequest| {
                        Ok(vec![format!("{}{}", typed.value(), shop.name)])
                    },
                )
                .read(async |shop: &Shop, _: CallContext, item: Item| {
                    Ok(format!("{} of {}", item.item, shop.name))
                }),
        )
        .unwrap()
        .add(
            ResourceTemplate::new("shop:part/{item}", "part")
                .complete_blocking(
                    "item",
                    |shop: &Shop, _: &BlockingContext, _: CompletionRequest| Ok(vec![shop.name]),
                )
                .read_blocking(|shop: &Shop, _: &BlockingContext, item: Item| Ok(item.item + shop.name)),
        )
        .unwrap()
        .add(
            Prompt::new("advertise")
                .run(async |shop: &Shop, _: CallContext| Ok(format!("Praise {}.", shop.name))),
        )
        .unwrap()
        .add(
            Prompt::new("grumble")
                .run_blocking(|shop: &Shop, _: &BlockingContext| Ok(format!("Blame {}.", shop.name))),
        )
        .unwrap()
        .add(ResourceLister::new(
            "all",
            async |shop: &Shop, _: CallContext, _: ListRequest| {
                let resources = vec![Resource::new(format!("shop:item/{}", shop.name), "item").listed()];
                Ok(ResourcePage {
                    resources,
                    next: None,
                })
            },
        ))
        .unwrap();
    registry
        .add(ResourceLister::blocking(
            "none",
            |_: &Shop, _: &BlockingContext, _: ListRequest| Ok(ResourcePage::default()),
        ))
        .unwrap();
    let called = Called::new(registry.build());
    assert_eq!(called.text("sell", json!({"pieces": 3})), "books has sold 3");
    assert_eq!(called.text("sell_two", json!({})), "books has sold 5");
    assert_eq!(called.text("count", json!({})), "5");
    assert_eq!(called.text("part", json!({"pieces": 1})), "1 of 5");
    assert_eq!(called.read("shop:name")[0]["text"], "books");
    assert_eq!(called.read("shop:sold")[0]["text"], "5");
    assert_eq!(called.read("shop:item/red")[0]["text"], "red of books");
    assert_eq!(called.read("shop:part/red")[0]["text"], "redbooks");
    assert_eq!(called.completed("shop:item/{item}", "item", "a"), ["abooks"]);
    assert_eq!(called.completed("shop:part/{item}", "item", "a"), ["books"]);
    assert_eq!(called.prompt("advertise")[0]["content"]["text"], "Praise books.");
    assert_eq!(called.prompt("grumble")[0]["content"]["text"], "Blame books.");
    assert_eq!(called.listed(), ["shop:item/books"]);
}

#[test]
fn functions_without_arguments_may_leave_them_out() {
    let mut registry = Registry::builder();
    registry
        .add(Tool::new("a").run(|_: CallContext| async { Ok("a") }))
        .unwrap()
        .add(Tool::new("b").run_blocking(|_: &BlockingContext| Ok("b")))
        .unwrap()
        .add(Tool::new("c").run(async |_: CallContext, _: NoArguments| Ok("c")))
        .unwrap()
        .add(Prompt::new("d").run(|_: CallContext| async { Ok("d") }))
        .unwrap();
    let called = Called::new(registry.build());
    for name in ["a", "b", "c"] {
        assert_eq!(called.text(name, json!({"unknown": 1})), name);
    }
    assert_eq!(called.prompt("d")[0]["content"]["text"], "d");
}

#[test]
fn what_borrows_a_state_that_is_not_there_is_refused() {
    fn refused(item: impl Registrable) -> String {
        let mut registry = Registry::builder().state(Arc::new("a text"));
        let error = registry.add(item).unwrap_err();
        assert!(matches!(error, RegistryError::State { .. }));
        assert_eq!(registry.build().tools().len(), 0);
        error.to_string()
    }
    let missing = refused(Tool::new("sell").run(Shop::sell));
    assert!(
        missing.starts_with("tool \"sell\" borrows a `weir::registry::"),
        "{missing}"
    );
    assert!(
        missing.contains("::Shop`") && missing.contains("`.state(Arc::new(…))`"),
        "{missing}"
    );
    assert!(
        refused(Resource::new("shop:sold", "sold").read_blocking(Shop::count))
            .starts_with("resource \"shop:sold\"")
    );
    let reader = |_: CallContext, item: Item| async { Ok(item.item) };
    let template = ResourceTemplate::new("shop:{item}", "item")
        .complete(
            "item",
            async |shop: &Shop, _: CallContext, _: CompletionRequest| Ok(vec![shop.name]),
        )
        .read(reader);
    assert!(refused(template).starts_with("resource template \"shop:{item}\""));
    let prompt = Prompt::new("p").run(async |shop: &Shop, _: CallContext| Ok(shop.name));
    assert!(refused(prompt).starts_with("prompt \"p\""));
    let lister = ResourceLister::blocking("l", |_: &Shop, _: &BlockingContext, _: ListRequest| {
        Ok(ResourcePage::default())
    });
    assert!(refused(lister).starts_with("resource lister \"l\""));
}

#[test]
fn there_is_one_state_of_each_type_and_edits_have_them_too() {
    let name = || async |shop: &Shop, _: CallContext| Ok(shop.name);
    let mut registry = Registry::builder()
        .state(Arc::new(17_u8))
        .state(Shop::new("first"));
    registry.add(Tool::new("first").run(name())).unwrap();
    let mut registry = registry.state(Shop::new("second"));
    registry.add(Tool::new("second").run(name())).unwrap();
    registry
        .add(Tool::new("number").run(async |number: &u8, _: CallContext| Ok(number.to_string())))
        .unwrap();
    let mut edited = registry.build().edit();
    edited.add(Tool::new("third").run(name())).unwrap();
    let called = Called::new(edited.build());
    let texts = ["first", "second", "third", "number"].map(|name| called.text(name, json!({})));
    assert_eq!(texts, ["first", "second", "second", "17"]);
}

/// What a function borrows lives as long as its calls do, and goes when the last of them has ended.
#[test]
fn a_call_keeps_its_state_alive() {
    let shop = Shop::new("kept");
    let mut registry = Registry::builder().state(Arc::clone(&shop));
    registry
        .add(Tool::new("count").run_blocking(Shop::count))
        .unwrap();
    registry
        .add(Tool::new("wait").run(async |shop: &Shop, _: CallContext| {
            std::future::pending::<()>().await;
            Ok(shop.name)
        }))
        .unwrap();
    let registry = registry.build();
    let shard = registry.for_shard();
    let wait = registry.find("wait").unwrap();
    let waiting = shard.start_tool(wait, None, CallContext::new()).unwrap();
    drop((shard, registry));
    assert!(Arc::strong_count(&shop) > 1);
    drop(waiting);
    assert_eq!(Arc::strong_count(&shop), 1);
}

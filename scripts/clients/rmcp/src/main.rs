//! The official Rust SDK as a client: with the handshake, probing first, or held to the newest revision.
//!
//! Usage: weir-clients-rmcp URL|CONFIGURATION legacy|auto|pin REVISION. `scenario.json`, whose folder is SCENARIO, has
//! the expected answers; otherwise the environment is that of the other clients (`scenario.py`).
#![allow(
    deprecated,
    reason = "what the newest revision dropped is what the older ones are tried with"
)]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rmcp::handler::client::ClientHandler;
use rmcp::model::*;
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt, NotificationContext, PeerRequestOptions, RequestContext,
    RoleClient, RunningService, ServiceError,
};
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use serde_json::{Map, Value, json};
use tokio::process::Command;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// The time between two checks.
const LOOK: Duration = Duration::from_millis(50);
/// The time between two changes of a file.
const CHANGE: Duration = Duration::from_millis(500);

/// The user, the model and the server's messages, of one client.
struct Client {
    scenario: Value,
    capabilities: ClientCapabilities,
    progress: mpsc::UnboundedSender<ProgressNotificationParam>,
    updates: mpsc::UnboundedSender<String>,
}

impl ClientHandler for Client {
    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let ElicitRequestParams::FormElicitationParams {
            message,
            requested_schema,
            ..
        } = request
        else {
            return Ok(ElicitResult::new(ElicitationAction::Decline));
        };
        let expected = &self.scenario["elicit"];
        if !message.contains(expected["asked"].as_str().unwrap_or_default()) {
            return Err(ErrorData::invalid_params(format!("asked: {message}"), None));
        }
        let schema = json!(requested_schema);
        let fields: Map<String, Value> = (schema["properties"].as_object().into_iter().flatten())
            .filter(|(_, field)| field["type"] == "string")
            .map(|(name, _)| (name.clone(), expected["answer"].clone()))
            .collect();
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(fields.into()))
    }

    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let expected = &self.scenario["sample"];
        let asked = json!(params.messages).to_string();
        if !asked.contains(expected["asked"].as_str().unwrap_or_default()) {
            return Err(ErrorData::invalid_params(format!("asked: {asked}"), None));
        }
        let answer = SamplingMessage::assistant_text(expected["answer"].as_str().unwrap_or_default());
        Ok(CreateMessageResult::new(answer, "a model".to_owned()))
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        // Nobody listens any more once the tour has gone on.
        let _ = self.progress.send(params);
    }

    async fn on_resource_updated(
        &self,
        params: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let _ = self.updates.send(params.uri);
    }

    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(
            self.capabilities.clone(),
            Implementation::new("weir-clients", "1"),
        )
    }
}

/// The address of a server, or its command, as a desktop's configuration has it.
enum Target {
    Url(String),
    Process(Value),
}

impl Target {
    /// The server of this name, whose URL is given if there is no configuration.
    async fn named(configuration: &str, name: &str, url: String) -> Result<Self> {
        if !configuration.ends_with(".json") {
            return Ok(Target::Url(url));
        }
        let servers: Value = serde_json::from_slice(&tokio::fs::read(configuration).await?)?;
        Ok(Target::Process(servers["mcpServers"][name].clone()))
    }
}

/// A connected client and its messages.
struct Tour {
    client: RunningService<RoleClient, Client>,
    scenario: Value,
    progress: Mutex<mpsc::UnboundedReceiver<ProgressNotificationParam>>,
    updates: Mutex<mpsc::UnboundedReceiver<String>>,
    is_modern: bool,
}

impl Tour {
    async fn connect(target: &Target, mode: &str, scenario: &Value, capabilities: Value) -> Result<Self> {
        let (progress, progress_heard) = mpsc::unbounded_channel();
        let (updates, updates_heard) = mpsc::unbounded_channel();
        let handler = Client {
            scenario: scenario.clone(),
            capabilities: serde_json::from_value(capabilities)?,
            progress,
            updates,
        };
        let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
        let lifecycle = match mode {
            "legacy" => ClientLifecycleMode::Initialize,
            "pin" => ClientLifecycleMode::Discover { preferred_versions },
            "auto" => ClientLifecycleMode::Auto {
                preferred_versions,
                legacy_version: None,
            },
            _ => bail!("no mode {mode}"),
        };
        let client = match target {
            Target::Url(url) => {
                let transport = StreamableHttpClientTransport::from_uri(url.as_str());
                handler.serve_with_lifecycle(transport, lifecycle).await?
            }
            Target::Process(server) => {
                let mut command = Command::new(text(&server["command"]));
                // Variables for this client are unknown options to the server.
                command.env_clear();
                command.args(server["args"].as_array().into_iter().flatten().map(text));
                let transport = TokioChildProcess::new(command)?;
                handler.serve_with_lifecycle(transport, lifecycle).await?
            }
        };
        Ok(Self {
            client,
            scenario: scenario.clone(),
            progress: Mutex::new(progress_heard),
            updates: Mutex::new(updates_heard),
            is_modern: mode != "legacy",
        })
    }

    /// Lists the tools and makes every call.
    async fn play(&self) -> Result<()> {
        let tools = self.client.list_all_tools().await?;
        let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
        must_be_equal(&json!(names), &self.scenario["tools"], "tools")?;
        for expected in self.scenario["calls"].as_array().context("calls")? {
            let outcome = self.client.call_tool(call_of(expected)).await;
            check_call(expected, outcome).with_context(|| expected["tool"].to_string())?;
        }
        Ok(())
    }

    /// Lists, reads, gets and completes according to the scenario.
    async fn play_features(&self) -> Result<()> {
        let column = |items: Value, key: &str| -> Value {
            let items = items.as_array().cloned().unwrap_or_default();
            items.iter().map(|item| item[key].clone()).collect()
        };
        let resources = column(json!(self.client.list_all_resources().await?), "uri");
        must_be_equal(&resources, &self.scenario["resources"], "resources")?;
        let templates = column(
            json!(self.client.list_all_resource_templates().await?),
            "uriTemplate",
        );
        must_be_equal(&templates, &self.scenario["templates"], "templates")?;
        let prompts = column(json!(self.client.list_all_prompts().await?), "name");
        must_be_equal(&prompts, &self.scenario["prompts"], "prompts")?;
        for expected in self.scenario["reads"].as_array().context("reads")? {
            let read = self
                .client
                .read_resource(ReadResourceRequestParams::new(text(&expected["uri"])));
            let mut contents = expected["contents"].clone();
            contents["uri"] = expected["uri"].clone();
            must_be_equal(
                &json!(read.await?.contents),
                &json!([contents]),
                text(&expected["uri"]),
            )?;
        }
        for expected in self.scenario["gets"].as_array().context("gets")? {
            let request = GetPromptRequestParams::new(text(&expected["prompt"]))
                .with_arguments(object(&expected["arguments"]));
            let messages = json!(self.client.get_prompt(request).await?.messages);
            let content = json!({"type": "text", "text": expected["text"]});
            must_be_equal(
                &messages,
                &json!([{"role": "user", "content": content}]),
                "prompt",
            )?;
        }
        for expected in self.scenario["completions"].as_array().context("completions")? {
            let (name, value) = (
                text(&expected["argument"]["name"]),
                text(&expected["argument"]["value"]),
            );
            let reference = &expected["ref"];
            let completed = match reference["name"].as_str() {
                Some(prompt) => {
                    self.client
                        .complete_prompt_argument(prompt, name, value, None)
                        .await?
                }
                None => {
                    let uri = text(&reference["uri"]);
                    self.client
                        .complete_resource_argument(uri, name, value, None)
                        .await?
                }
            };
            must_be_equal(
                &json!(completed.values),
                &expected["values"],
                &reference.to_string(),
            )?;
        }
        Ok(())
    }

    /// Progress, cancellation, a subscription with its update, and a question.
    async fn play_tour(&self) -> Result<()> {
        self.play_progress().await.context("progress")?;
        self.play_cancel().await.context("cancel")?;
        self.play_subscription().await.context("subscribe")?;
        self.play_question("elicit").await
    }

    /// Every report arrives, each further than the last.
    async fn play_progress(&self) -> Result<()> {
        let expected = &self.scenario["progress"];
        let handle = self.begin(expected).await?;
        let token = handle.progress_token.clone();
        handle.await_response().await?;
        let mut reports = Vec::new();
        for _ in 0..expected["reports"].as_u64().context("reports")? {
            reports.push(self.next_report(&token).await?);
        }
        // The SDK passes each on by a task of its own, and those run in any order.
        reports.sort_by(f64::total_cmp);
        ensure!(reports.is_sorted_by(|one, next| one < next), "{reports:?}");
        Ok(())
    }

    /// The next report of a call. The SDK asks for progress of every call, so other calls may have reported theirs.
    async fn next_report(&self, token: &ProgressToken) -> Result<f64> {
        let mut progress = self.progress.lock().await;
        loop {
            let report = timeout(PATIENCE, progress.recv()).await?.context("a report")?;
            if report.progress_token == *token {
                return Ok(report.progress);
            }
        }
    }

    /// A call that is cancelled while it runs is over on the server, too.
    async fn play_cancel(&self) -> Result<()> {
        let before = cancelled_calls().await?;
        let handle = self.begin(&self.scenario["cancel"]).await?;
        self.next_report(&handle.progress_token).await?;
        handle.cancel(Some("no longer needed".to_owned())).await?;
        let wait_for_end = async {
            while cancelled_calls().await? <= before {
                tokio::time::sleep(LOOK).await;
            }
            Ok(())
        };
        timeout(PATIENCE, wait_for_end).await?
    }

    /// A file that changes is announced; it is changed anew until then, since a stream may yet be opening.
    async fn play_subscription(&self) -> Result<()> {
        let expected = &self.scenario["subscribe"];
        let uri = text(&expected["uri"]);
        let mut listening = None;
        if self.is_modern {
            let filter = SubscriptionFilter::builder()
                .resource_subscriptions([uri])
                .build();
            listening = Some(self.client.listen(filter).await?);
        } else {
            self.client.subscribe(SubscribeRequestParams::new(uri)).await?;
        }
        let file = PathBuf::from(variable("WEIR_ROOT")?).join(text(&expected["path"]));
        let wait_for_update = async {
            match &mut listening {
                None => self.updates.lock().await.recv().await.context("an update"),
                Some(subscription) => match subscription.next().await? {
                    Some(ServerNotification::ResourceUpdatedNotification(updated)) => Ok(updated.params.uri),
                    other => bail!("no update but {other:?}"),
                },
            }
        };
        let change = async {
            for turn in 0.. {
                tokio::fs::write(&file, format!("change {turn}\n")).await?;
                tokio::time::sleep(CHANGE).await;
            }
            anyhow::Ok(())
        };
        let updated = tokio::select! {
            updated = timeout(PATIENCE, wait_for_update) => updated??,
            changed = change => bail!("{changed:?}"),
        };
        ensure!(updated == uri, "{updated} was updated");
        match listening {
            Some(mut subscription) => subscription.cancel().await?,
            None => drop(
                self.client
                    .unsubscribe(UnsubscribeRequestParams::new(uri))
                    .await?,
            ),
        }
        Ok(())
    }

    /// A call that asks its client, and its result.
    async fn play_question(&self, name: &str) -> Result<()> {
        let expected = &self.scenario[name];
        let result = self
            .client
            .call_tool(call_of(expected))
            .await
            .context("the call")?;
        let said = json!(result.content).to_string();
        ensure!(result.is_error != Some(true), "{said}");
        ensure!(said.contains(text(&expected["answer"])), "{said}");
        Ok(())
    }

    async fn begin(
        &self,
        expected: &Value,
    ) -> Result<rmcp::service::RequestHandle<RoleClient>, ServiceError> {
        let request = ClientRequest::CallToolRequest(Request::new(call_of(expected)));
        self.client
            .send_cancellable_request(request, PeerRequestOptions::no_options())
            .await
    }
}

fn check_call(expected: &Value, outcome: Result<CallToolResult, ServiceError>) -> Result<()> {
    if let Some(code) = expected["error_code"].as_i64() {
        let Err(ServiceError::McpError(error)) = outcome else {
            bail!("{outcome:?} instead of error {code}");
        };
        ensure!(i64::from(error.code.0) == code, "{error:?}");
        return Ok(());
    }
    let result = json!(outcome?);
    let has_failed = result["isError"] == true;
    ensure!(has_failed == expected["failure"].is_string(), "{result}");
    let said = text(&result["content"][0]["text"]);
    must_be_equal(&result["content"][1]["text"], &expected["note"], "note")?;
    if expected["structured"].is_object() {
        must_be_equal(
            &result["structuredContent"],
            &expected["structured"],
            "structured",
        )?;
        must_be_equal(&serde_json::from_str(said)?, &expected["structured"], "text")
    } else if has_failed {
        must_be_equal(&json!(said), &expected["failure"], "failure")
    } else {
        must_be_equal(&json!(said), &json!(whole_text(&expected["text"])), "text")
    }
}

fn call_of(expected: &Value) -> CallToolRequestParams {
    CallToolRequestParams::new(text(&expected["tool"]).to_owned())
        .with_arguments(object(&expected["arguments"]))
}

/// A text, or one that is given as a repetition.
fn whole_text(told: &Value) -> String {
    match told {
        Value::String(text) => text.clone(),
        _ => {
            let length = usize::try_from(told["length"].as_u64().unwrap_or(0)).unwrap_or(0);
            text(&told["repeat"]).chars().cycle().take(length).collect()
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn must_be_equal(found: &Value, expected: &Value, what: &str) -> Result<()> {
    ensure!(found == expected, "{what}: {found} instead of {expected}");
    Ok(())
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| name.to_owned())
}

/// How many calls the server counts as cancelled.
async fn cancelled_calls() -> Result<f64> {
    let figures = reqwest::get(variable("WEIR_METRICS")?).await?.text().await?;
    let counters = figures
        .lines()
        .filter(|line| line.starts_with("weir_operations_total{") && line.contains("outcome=\"cancelled\""));
    Ok(counters
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, mode, revision] = arguments.as_slice() else {
        bail!("usage: weir-clients-rmcp URL|CONFIGURATION legacy|auto|pin REVISION");
    };
    let path = PathBuf::from(variable("SCENARIO")?).join("scenario.json");
    let scenario: Value = serde_json::from_slice(&tokio::fs::read(path).await?)?;
    let target = Target::named(url, "weir", url.clone()).await?;
    let tour = Tour::connect(&target, mode, &scenario, json!({"elicitation": {}})).await?;
    let spoken = json!(tour.client.peer_info().map(|info| info.protocol_version.clone()));
    must_be_equal(&spoken, &json!(revision), "revision")?;
    tour.play().await?;
    tour.play_features().await?;
    tour.play_tour().await?;
    tour.client.cancel().await?;
    let everything = Target::named(url, "everything", variable("EVERYTHING_URL")?).await?;
    let sampler = Tour::connect(&everything, mode, &scenario, json!({"sampling": {}})).await?;
    sampler.play_question("sample").await.context("sample")?;
    sampler.client.cancel().await?;
    Ok(())
}

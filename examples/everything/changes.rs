//! Tools that change what the server has while it runs. The server notifies clients of the changed list by itself.

use weir::{
    CallContext, NoArguments, Prompt, PromptArguments, RegistryBuilder, RegistryError, Tool, ToolError,
};

/// A tool that is added and removed.
const PASSING_TOOL: &str = "test_passing_tool";
const PASSING_PROMPT: &str = "test_passing_prompt";

pub(crate) fn register(registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
    registry.tools_list_changed().prompts_list_changed();
    registry.add(
        Tool::new("test_trigger_tool_change")
            .description("Adds a tool, or removes it again.")
            .run(|ctx: CallContext, _: NoArguments| async move {
                ctx.server()
                    .edit_registry(toggle_tool)
                    .map_err(ToolError::internal)?;
                Ok("The list of tools has changed.")
            }),
    )?;
    registry.add(
        Tool::new("test_trigger_prompt_change")
            .description("Adds a prompt, or removes it again.")
            .run(|ctx: CallContext, _: NoArguments| async move {
                ctx.server()
                    .edit_registry(toggle_prompt)
                    .map_err(ToolError::internal)?;
                Ok("The list of prompts has changed.")
            }),
    )?;
    registry.add(
        Tool::new("test_trigger_resource_update")
            .description("Tells those who subscribed to the watched resource that it has changed.")
            .run(|ctx: CallContext, _: NoArguments| async move {
                ctx.server().resource_updated(crate::resources::WATCHED);
                Ok("The watched resource has changed.")
            }),
    )?;
    Ok(())
}

fn toggle_tool(registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
    if !registry.remove_tool(PASSING_TOOL) {
        registry.add(
            Tool::new(PASSING_TOOL)
                .description("Is there now and then.")
                .run(|_: CallContext, _: NoArguments| async { Ok("Here for now.") }),
        )?;
    }
    Ok(())
}

fn toggle_prompt(registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
    if !registry.remove_prompt(PASSING_PROMPT) {
        registry.add(
            Prompt::new(PASSING_PROMPT)
                .description("Is there now and then.")
                .run(|_: CallContext, _: PromptArguments| async { Ok("Here for now.") }),
        )?;
    }
    Ok(())
}

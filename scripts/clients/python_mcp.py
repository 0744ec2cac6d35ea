"""The Python SDK (`mcp`): with its default negotiation, with the handshake, or held to one revision.

Usage: python_mcp.py URL|CONFIGURATION auto|legacy|pin|sse REVISION        `sse`: with the handshake, over HTTP+SSE
"""

import asyncio
import os
import sys
import warnings
from contextlib import asynccontextmanager

import httpx2
from mcp import Client, MCPDeprecationWarning, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CreateMessageResult,
    ElicitResult,
    PromptReference,
    ResourceTemplateReference,
    ResourceUpdatedNotification,
    TextContent,
)
from scenario import (
    Features,
    Tour,
    answer_form,
    answer_sample,
    check_ended,
    is_process,
    must_be_equal,
    play,
    play_features,
    play_sample,
    play_tour,
    process_of,
    sse_url,
)

REFERENCES = {"ref/prompt": PromptReference, "ref/resource": ResourceTemplateReference}

# The older revisions are tried with what the newest has dropped.
warnings.simplefilter("ignore", MCPDeprecationWarning)


async def on_elicit(_context, params):
    return ElicitResult(action="accept", content=answer_form(params.message, params.requested_schema))


async def on_sample(_context, params):
    content = TextContent(type="text", text=answer_sample(params.messages))
    return CreateMessageResult(role="assistant", content=content, model="a model")


class Updates:
    """Updates of resources that a session gets outside subscriptions of its own."""

    def __init__(self):
        self.uris = asyncio.Queue()

    async def handle(self, message):
        if isinstance(message, ResourceUpdatedNotification):
            await self.uris.put(message.params.uri)


def tour_of(client, updates, mode):
    async def call(name, arguments, on_report):
        async def on_progress(progress, _total, _message):
            on_report(progress)

        return await client.call_tool(name, arguments, progress_callback=on_progress if on_report else None)

    async def cancel(calling):
        calling.cancel()

    @asynccontextmanager
    async def watch(uri):
        if mode in ("legacy", "sse"):
            await client.subscribe_resource(uri)
            yield updates.uris.get
            await client.unsubscribe_resource(uri)
            return
        async with client.listen(resource_subscriptions=[uri]) as subscription:

            async def next_update():
                return (await anext(aiter(subscription))).uri

            yield next_update

    return Tour(call, cancel, watch)


def negotiation(mode, revision):
    """The client's own word for how to agree on a revision."""
    return {"pin": revision, "sse": "legacy"}.get(mode, mode)


def server_of(target, name, mode, connect=None):
    """The server of this name, over the transport of the target and the mode."""
    if is_process(target):
        return StdioServerParameters(**process_of(target, name))
    if mode == "sse":
        return sse_client(sse_url(target))
    return connect(target) if connect else target


async def sample(server, mode, revision):
    async with Client(server, mode=negotiation(mode, revision), sampling_callback=on_sample) as client:
        await play_sample(tour_of(client, None, mode).call)


async def run(target, mode, revision):
    session_ids = set()

    async def note_session(response):
        session_ids.update(response.headers.get_list("mcp-session-id"))

    async with httpx2.AsyncClient(event_hooks={"response": [note_session]}) as http:
        transport = server_of(target, "weir", mode, lambda url: streamable_http_client(url, http_client=http))
        updates = Updates()
        async with Client(
            transport,
            mode=negotiation(mode, revision),
            elicitation_callback=on_elicit,
            message_handler=updates.handle,
        ) as client:

            async def list_tools():
                return (await client.list_tools()).tools

            async def call(name, arguments):
                try:
                    return await client.call_tool(name, arguments)
                except MCPError as error:
                    return error.error.code

            async def complete(ref, argument):
                return await client.complete(REFERENCES[ref["type"]](**ref), argument)

            must_be_equal(client.protocol_version, revision, "revision")
            if mode != "pin":  # A client that is held to a revision asks the server nothing before its first call.
                must_be_equal(client.server_info.name, "weir", "server")
            await play(list_tools, call, asyncio.gather)
            await play_features(
                Features(
                    client.list_resources,
                    client.list_resource_templates,
                    client.list_prompts,
                    client.read_resource,
                    client.get_prompt,
                    complete,
                )
            )
            await play_tour(tour_of(client, updates, mode))
        must_be_equal(len(session_ids), 1 if mode == "legacy" and not is_process(target) else 0, "sessions")
        for session_id in session_ids:
            await check_ended(http, target, session_id)
    everything = target if is_process(target) else os.environ["EVERYTHING_URL"]
    sampler = server_of(everything, "everything", mode)
    await sample(sampler, mode, revision)


asyncio.run(run(*sys.argv[1:]))

"""FastMCP's client: with its default negotiation, with the handshake, or held to one revision.

Usage: python_fastmcp.py URL|CONFIGURATION auto|legacy|pin|sse REVISION        `sse`: with the handshake, over HTTP+SSE
"""

import asyncio
import os
import sys
import warnings
from contextlib import asynccontextmanager

import httpx2
from fastmcp import Client
from fastmcp.client.transports import SSETransport
from mcp import MCPDeprecationWarning
from mcp.client.subscriptions import listen
from mcp.shared.exceptions import MCPError
from mcp_types import PromptReference, ResourceTemplateReference, ResourceUpdatedNotification
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


async def on_elicit(message, _response_type, params, _context):
    return answer_form(message, params.requested_schema)


async def on_sample(messages, _params, _context):
    return answer_sample(messages)


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

        return await client.call_tool_mcp(name, arguments, progress_handler=on_progress if on_report else None)

    async def cancel(calling):
        calling.cancel()

    @asynccontextmanager
    async def watch(uri):
        # It has no subscriptions of its own; the SDK's session under it has.
        if mode in ("legacy", "sse"):
            await client.session.subscribe_resource(uri)
            yield updates.uris.get
            await client.session.unsubscribe_resource(uri)
            return
        async with listen(client.session, resource_subscriptions=[uri]) as subscription:

            async def next_update():
                return (await anext(aiter(subscription))).uri

            yield next_update

    return Tour(call, cancel, watch)


def connect(server, mode, revision, **handlers):
    """A client, with its own word for how to agree on a revision."""
    if mode == "sse":
        server = SSETransport(sse_url(server))
    return Client(server, mode={"pin": revision, "sse": "legacy"}.get(mode, mode), **handlers)


async def sample(server, mode, revision):
    async with connect(server, mode, revision, sampling_handler=on_sample) as client:
        await play_sample(tour_of(client, None, mode).call)


def server_of(target, name):
    """A URL, or a desktop's configuration of this one server."""
    return {"mcpServers": {name: process_of(target, name)}} if is_process(target) else target


async def run(target, mode, revision):
    updates = Updates()
    async with connect(
        server_of(target, "weir"), mode, revision, elicitation_handler=on_elicit, message_handler=updates.handle
    ) as client:

        async def call(name, arguments):
            try:
                return await client.call_tool_mcp(name, arguments)
            except MCPError as error:
                return error.error.code

        async def complete(ref, argument):
            return await client.complete_mcp(REFERENCES[ref["type"]](**ref), argument)

        must_be_equal(client.protocol_version, revision, "revision")
        await play(client.list_tools, call, asyncio.gather)
        await play_features(
            Features(
                client.list_resources_mcp,
                client.list_resource_templates_mcp,
                client.list_prompts_mcp,
                client.read_resource_mcp,
                client.get_prompt_mcp,
                complete,
            )
        )
        await play_tour(tour_of(client, updates, mode))
        has_ids = mode != "sse" and not is_process(target)
        session_id = client.transport.get_session_id() if has_ids else None
        must_be_equal(session_id is not None, has_ids and mode == "legacy", "a session id")
    if session_id is not None:
        async with httpx2.AsyncClient() as http:
            await check_ended(http, target, session_id)
    sampler = server_of(target, "everything") if is_process(target) else os.environ["EVERYTHING_URL"]
    await sample(sampler, mode, revision)


asyncio.run(run(*sys.argv[1:]))

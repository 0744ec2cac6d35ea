"""The Python SDK's v1 line (`mcp` below 2), which knows revisions with a handshake only.

Usage: python_mcp_v1.py URL|CONFIGURATION default|websocket|sse|stdio REVISION
"""

import asyncio
import os
import sys
import warnings
from contextlib import asynccontextmanager

import httpx
from mcp import ClientSession, McpError, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.client.websocket import websocket_client
from mcp.types import (
    CancelledNotification,
    CancelledNotificationParams,
    ClientNotification,
    CreateMessageResult,
    ElicitResult,
    ProgressNotification,
    PromptReference,
    ResourceTemplateReference,
    ResourceUpdatedNotification,
    ServerNotification,
    TextContent,
)
from pydantic import AnyUrl
from scenario import (
    Features,
    Tour,
    answer_form,
    answer_sample,
    check_ended,
    must_be_equal,
    play,
    play_features,
    play_sample,
    play_tour,
    process_of,
    sse_url,
)

REFERENCES = {"ref/prompt": PromptReference, "ref/resource": ResourceTemplateReference}


async def on_elicit(_context, params):
    return ElicitResult(action="accept", content=answer_form(params.message, params.requestedSchema))


async def on_sample(_context, params):
    content = TextContent(type="text", text=answer_sample(params.messages))
    return CreateMessageResult(role="assistant", content=content, model="a model")


class Messages:
    """Messages of the server: updates, and the id of the call whose progress came last."""

    def __init__(self):
        self.updates, self.calling = asyncio.Queue(), None

    async def handle(self, message):
        match message:
            case ServerNotification(root=ResourceUpdatedNotification() as updated):
                await self.updates.put(updated.params.uri)
            case ServerNotification(root=ProgressNotification() as told):
                # This line's tokens are the ids of its requests, which it does not reveal otherwise.
                self.calling = told.params.progressToken


def tour_of(session, messages):
    async def call(name, arguments, on_report):
        async def on_progress(progress, _total, _message):
            on_report(progress)

        return await session.call_tool(name, arguments, progress_callback=on_progress if on_report else None)

    async def cancel(_calling):
        params = CancelledNotificationParams(requestId=messages.calling)
        await session.send_notification(ClientNotification(CancelledNotification(params=params)))

    @asynccontextmanager
    async def watch(uri):
        await session.subscribe_resource(AnyUrl(uri))
        yield messages.updates.get
        await session.unsubscribe_resource(AnyUrl(uri))

    return Tour(call, cancel, watch)


@asynccontextmanager
async def connected(url, mode, http, name="weir"):
    """The streams of a transport, and a function for the id of its session if it has one."""
    if mode == "websocket":
        with warnings.catch_warnings():
            # It warns that no revision has this transport, which is known.
            warnings.simplefilter("ignore", DeprecationWarning)
            transport = websocket_client(url.replace("http", "ws", 1))
        async with transport as (read, write):
            yield read, write, None
    elif mode == "stdio":
        async with stdio_client(StdioServerParameters(**process_of(url, name))) as (read, write):
            yield read, write, None
    elif mode == "sse":
        async with sse_client(sse_url(url)) as (read, write):
            yield read, write, None
    else:
        must_be_equal(mode, "default", "mode")
        async with streamable_http_client(url, http_client=http) as (read, write, session_id_of):
            yield read, write, session_id_of


async def sample(url, mode, http):
    async with connected(url, mode, http, "everything") as (read, write, _):
        async with ClientSession(read, write, sampling_callback=on_sample) as session:
            await session.initialize()
            await play_sample(tour_of(session, None).call)


async def run(url, mode, revision):
    async with httpx.AsyncClient() as http:
        async with connected(url, mode, http) as (read, write, session_id_of):
            messages = Messages()
            async with ClientSession(
                read, write, elicitation_callback=on_elicit, message_handler=messages.handle
            ) as session:

                async def list_tools():
                    return (await session.list_tools()).tools

                async def call(name, arguments):
                    try:
                        return await session.call_tool(name, arguments)
                    except McpError as error:
                        return error.error.code

                async def complete(ref, argument):
                    return await session.complete(REFERENCES[ref["type"]](**ref), argument)

                greeting = await session.initialize()
                must_be_equal(greeting.protocolVersion, revision, "revision")
                must_be_equal(greeting.serverInfo.name, "weir", "server")
                await play(list_tools, call, asyncio.gather)
                await play_features(
                    Features(
                        session.list_resources,
                        session.list_resource_templates,
                        session.list_prompts,
                        lambda uri: session.read_resource(AnyUrl(uri)),
                        session.get_prompt,
                        complete,
                    )
                )
                await play_tour(tour_of(session, messages))
                await session.send_ping()
                session_id = session_id_of and session_id_of()
        if session_id_of:
            must_be_equal(session_id is not None, True, "a session id")
            await check_ended(http, url, session_id)
    async with httpx.AsyncClient() as http:
        await sample(url if mode == "stdio" else os.environ["EVERYTHING_URL"], mode, http)


asyncio.run(run(*sys.argv[1:]))

"""The Python SDK (`mcp`): with its default negotiation, with the handshake, or held to one revision.

Usage: python_mcp.py URL auto|legacy|pin REVISION
"""

import asyncio
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import PromptReference, ResourceTemplateReference
from scenario import Features, check_ended, must_be_equal, play, play_features

REFERENCES = {"ref/prompt": PromptReference, "ref/resource": ResourceTemplateReference}


async def run(url, mode, revision):
    session_ids = set()

    async def note_session(response):
        session_ids.update(response.headers.get_list("mcp-session-id"))

    async with httpx2.AsyncClient(event_hooks={"response": [note_session]}) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=revision if mode == "pin" else mode) as client:

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
            if mode != "pin":  # Held to a revision, it asks the server nothing before its first call.
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
        must_be_equal(len(session_ids), 1 if mode == "legacy" else 0, "sessions")
        for session_id in session_ids:
            await check_ended(http, url, session_id)


asyncio.run(run(*sys.argv[1:]))

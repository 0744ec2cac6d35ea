"""FastMCP's client: with its default negotiation, with the handshake, or held to one revision.

Usage: python_fastmcp.py URL auto|legacy|pin REVISION
"""

import asyncio
import sys

import httpx2
from fastmcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import PromptReference, ResourceTemplateReference
from scenario import Features, check_ended, must_be_equal, play, play_features

REFERENCES = {"ref/prompt": PromptReference, "ref/resource": ResourceTemplateReference}


async def run(url, mode, revision):
    async with Client(url, mode=revision if mode == "pin" else mode) as client:

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
        session_id = client.transport.get_session_id()
        must_be_equal(session_id is not None, mode == "legacy", "a session id")
    if session_id is not None:
        async with httpx2.AsyncClient() as http:
            await check_ended(http, url, session_id)


asyncio.run(run(*sys.argv[1:]))

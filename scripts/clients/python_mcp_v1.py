"""The Python SDK's v1 line (`mcp` below 2), which knows revisions with a handshake only.

Usage: python_mcp_v1.py URL default REVISION
"""

import asyncio
import sys

import httpx
from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import PromptReference, ResourceTemplateReference
from pydantic import AnyUrl
from scenario import Features, check_ended, must_be_equal, play, play_features

REFERENCES = {"ref/prompt": PromptReference, "ref/resource": ResourceTemplateReference}


async def run(url, mode, revision):
    must_be_equal(mode, "default", "mode")
    async with httpx.AsyncClient() as http:
        async with streamable_http_client(url, http_client=http) as (read, write, session_id_of):
            async with ClientSession(read, write) as session:

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
                await session.send_ping()
                session_id = session_id_of()
        must_be_equal(session_id is not None, True, "a session id")
        await check_ended(http, url, session_id)


asyncio.run(run(*sys.argv[1:]))

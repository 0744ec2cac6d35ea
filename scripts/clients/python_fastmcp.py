"""FastMCP's client: with its default negotiation, with the handshake, or held to one revision.

Usage: python_fastmcp.py URL auto|legacy|pin REVISION
"""

import asyncio
import sys

import httpx2
from fastmcp import Client
from mcp.shared.exceptions import MCPError
from scenario import check_ended, must_be_equal, play


async def run(url, mode, revision):
    async with Client(url, mode=revision if mode == "pin" else mode) as client:

        async def call(name, arguments):
            try:
                return await client.call_tool_mcp(name, arguments)
            except MCPError as error:
                return error.error.code

        must_be_equal(client.protocol_version, revision, "revision")
        await play(client.list_tools, call, asyncio.gather)
        session_id = client.transport.get_session_id()
        must_be_equal(session_id is not None, mode == "legacy", "a session id")
    if session_id is not None:
        async with httpx2.AsyncClient() as http:
            await check_ended(http, url, session_id)


asyncio.run(run(*sys.argv[1:]))

"""Servers that others wrote, behind `weir serve`: the Python SDK's client lists their tools, calls them and is asked, in
both eras.

Usage: visit.py URL NAME=TOOL,...      URL: that of all of them; NAME: a server's, which has these tools
"""

import asyncio
import sys
import warnings

from mcp import Client, MCPDeprecationWarning
from mcp_types import ElicitResult
from scenario import must_be_equal

# The older era is tried with what the newest has dropped.
warnings.simplefilter("ignore", MCPDeprecationWarning)

MESSAGE = "grüße ☃"
ANSWERS = {"echo": MESSAGE, "ask": f"Hello, who was asked {MESSAGE}"}


async def on_elicit(_context, params):
    return ElicitResult(action="accept", content={"name": f"who was asked {params.message}"})


async def visit(url, mode, tools):
    async with Client(url, mode=mode, elicitation_callback=on_elicit) as client:
        must_be_equal([tool.name for tool in (await client.list_tools()).tools], tools, f"tools of {url}, {mode}")
        for tool in tools:
            result = await client.call_tool(tool, {"message": MESSAGE})
            must_be_equal([content.text for content in result.content], [ANSWERS[tool]], f"{tool} of {url}, {mode}")


async def run(url, *servers):
    for server in servers:
        name, tools = server.split("=")
        for mode in ("legacy", "auto"):
            await visit(url.removesuffix("mcp") + f"servers/{name}/mcp", mode, tools.split(","))


asyncio.run(run(*sys.argv[1:]))

"""A server on stdio of the Python SDK 1: a tool that echoes, and one that asks."""

from mcp.server.fastmcp import Context, FastMCP
from pydantic import BaseModel

server = FastMCP("python-1")


class Name(BaseModel):
    name: str


@server.tool()
def echo(message: str) -> str:
    return message


@server.tool()
async def ask(message: str, ctx: Context) -> str:
    answer = await ctx.elicit(message, Name)
    return f"Hello, {answer.data.name}"


server.run()

"""The peer: `echo`, `blob` and `sleep` on FastMCP, stateless with JSON answers.

With the argument `--sessions` it has legacy sessions.
"""

import anyio
from fastmcp import FastMCP
from serve import HAS_SESSIONS, blob_text, serve

server = FastMCP("fastmcp")


@server.tool(output_schema=None)
async def echo(message: str) -> str:
    """Answers with the message it was given."""
    return message


@server.tool(output_schema=None)
async def blob(bytes: int) -> str:
    """Answers with the alphabet, repeated to this many bytes."""
    return blob_text(bytes)


@server.tool(output_schema=None)
async def sleep(ms: int) -> str:
    """Waits this many milliseconds."""
    await anyio.sleep(ms / 1e3)
    return f"slept {ms} ms"


serve(server.http_app(json_response=True, stateless_http=not HAS_SESSIONS))

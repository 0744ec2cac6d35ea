"""A server on stdio of the Python SDK 2, which speaks both eras: a tool that echoes."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("python-2")


@server.tool()
def echo(message: str) -> str:
    return message


server.run()

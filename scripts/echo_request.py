"""Tool calls of either era, as a current client sends them; the echo, and its right answer."""

import http.client
import json

MESSAGE = "hello"
PATH = "/mcp"
ERAS = ("modern", "legacy")
MODERN_REVISION, LEGACY_REVISION = "2026-07-28", "2025-11-25"


def call(era, tool, arguments):
    """The body of a call."""
    params = {"name": tool, "arguments": arguments}
    if era == "modern":
        prefix = "io.modelcontextprotocol/"
        params["_meta"] = {
            prefix + "protocolVersion": MODERN_REVISION,
            prefix + "clientInfo": {"name": "compare", "version": "1.0.0"},
            prefix + "clientCapabilities": {},
        }
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return json.dumps(request, separators=(",", ":"))


def body(era):
    return call(era, "echo", {"message": MESSAGE})


def headers(era, tool="echo"):
    """Headers beyond those of every POST."""
    if era == "legacy":
        return {"mcp-protocol-version": LEGACY_REVISION}
    return {"mcp-protocol-version": MODERN_REVISION, "mcp-method": "tools/call", "mcp-name": tool}


def check(address, era, tool="echo", arguments=None, expected=MESSAGE):
    """Calls once over a fresh connection; a wrong answer ends the run. With `expected` None any result is right."""
    connection = http.client.HTTPConnection(address, timeout=5)
    every = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    request = call(era, tool, arguments or {"message": MESSAGE})
    connection.request("POST", PATH, request, every | headers(era, tool))
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    wrong = SystemExit(f"{address} answers a {era} {tool} with {response.status}: {text[:300]}")
    if response.status != 200 or response.headers["content-type"] != "application/json":
        raise wrong
    answer = json.loads(text)
    if answer.get("jsonrpc") != "2.0" or answer.get("id") != 1:
        raise wrong
    result = answer.get("result", {})
    is_expected = expected is None or result.get("content") == [{"type": "text", "text": expected}]
    if not is_expected or result.get("isError", False):
        raise wrong

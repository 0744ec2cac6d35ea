"""What every client is put through, and how its answers are judged: the Python half of scenario.json.

A client hands in coroutines: two for tools, of which one lists them and the other makes a call and tells its outcome
as a result or as the code of a protocol error; and those of `Features` for everything else.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SCENARIO = json.loads(Path(__file__).with_name("scenario.json").read_text(encoding="utf-8"))


async def play(list_tools, call, gather):
    """Lists the tools, makes every call in turn, then all of them at once."""
    check_tools(await list_tools())
    for expected in SCENARIO["calls"]:
        check_call(expected, await call(expected["tool"], expected["arguments"]))
    calls = [call(expected["tool"], expected["arguments"]) for expected in SCENARIO["calls"]]
    for expected, outcome in zip(SCENARIO["calls"], await gather(*calls), strict=True):
        check_call(expected, outcome)


@dataclass
class Features:
    """How a client asks for resources, prompts and completion; each gives the specification's result."""

    list_resources: Callable
    list_templates: Callable
    list_prompts: Callable
    read: Callable
    get_prompt: Callable
    complete: Callable


async def play_features(features):
    """Lists, reads, gets and completes what the scenario says."""
    for lister, member, key, names in (
        (features.list_resources, "resources", "uri", "resources"),
        (features.list_templates, "resourceTemplates", "uriTemplate", "templates"),
        (features.list_prompts, "prompts", "name", "prompts"),
    ):
        listed = as_on_the_wire(await lister())[member]
        must_be_equal([item[key] for item in listed], SCENARIO[names], names)
    for expected in SCENARIO["reads"]:
        contents = as_on_the_wire(await features.read(expected["uri"]))["contents"]
        must_be_equal(contents, [{"uri": expected["uri"]} | expected["contents"]], expected["uri"])
    for expected in SCENARIO["gets"]:
        got = as_on_the_wire(await features.get_prompt(expected["prompt"], expected["arguments"]))
        message = {"role": "user", "content": {"type": "text", "text": expected["text"]}}
        must_be_equal(got["messages"], [message], expected["prompt"])
    for expected in SCENARIO["completions"]:
        completed = as_on_the_wire(await features.complete(expected["ref"], expected["argument"]))
        must_be_equal(completed["completion"]["values"], expected["values"], f"{expected['ref']}")


def check_tools(tools):
    """The tools, in order, as a client needs them to be described."""
    must_be_equal([tool.name for tool in tools], SCENARIO["tools"], "tools")
    for tool in tools:
        described = as_on_the_wire(tool)
        must_be_equal(described["inputSchema"]["type"], "object", tool.name)
        must_be_equal(described["annotations"]["readOnlyHint"], True, tool.name)


def check_call(expected, outcome):
    """One call's outcome, a result or the code of an error."""
    what = f"{expected['tool']} {json.dumps(expected['arguments'])}"
    if "error_code" in expected:
        return must_be_equal(outcome, expected["error_code"], what)
    if isinstance(outcome, int):
        raise AssertionError(f"{what}: error {outcome} instead of a result")
    result = as_on_the_wire(outcome)
    must_be_equal(result.get("isError", False), "failure" in expected, what)
    must_be_equal([block["type"] for block in result["content"]], ["text"], what)
    text = result["content"][0]["text"]
    if "structured" in expected:
        must_be_equal(result["structuredContent"], expected["structured"], what)
        must_be_equal(json.loads(text), expected["structured"], what)
    elif "failure" in expected:
        must_be_equal(text, expected["failure"], what)
    else:
        must_be_equal(text, whole_text(expected["text"]), what)


async def check_ended(http, url, session_id):
    """A session that was closed is gone: the server knows its id no more."""
    headers = {"accept": "application/json, text/event-stream", "mcp-session-id": session_id}
    response = await http.post(url, headers=headers, json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
    must_be_equal(response.status_code, 404, "a ping in the closed session")


def as_on_the_wire(model):
    """The specification's names: the SDK's lines differ in how they spell them in Python."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def must_be_equal(found, expected, what):
    """Like assert, but says what it found and stays with `python -O`."""
    if found != expected:
        raise AssertionError(f"{what}: {found!r} instead of {expected!r}")


def whole_text(text):
    """A text, or one that is told as a repetition."""
    if isinstance(text, str):
        return text
    times = -(-text["length"] // len(text["repeat"]))
    return (text["repeat"] * times)[: text["length"]]

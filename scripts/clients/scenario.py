"""The tour of every client, and the judgement of its answers: the Python half of scenario.json.

A client hands in coroutines: two for tools, of which one lists them and the other makes a call and tells its outcome
as a result or as the code of a protocol error; those of `Features` for what is listed, read and completed; and those
of `Tour` for what is told while a call runs or between calls. Environment: WEIR_ROOT is the directory served,
WEIR_METRICS the URL of the server's figures, EVERYTHING_URL a server with a tool that samples.
"""

import asyncio
import json
import os
import urllib.request
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

SCENARIO = json.loads(Path(__file__).with_name("scenario.json").read_text(encoding="utf-8"))

# Far longer than anything here takes.
PATIENCE_SECONDS = 20
# Time between two checks, and between two changes of a file.
LOOK_SECONDS, CHANGE_SECONDS = 0.05, 0.5


async def play(list_tools, call, gather):
    """Lists the tools, makes every call in turn, then all of them at once; sends a number beyond 64 bits.

    An emoji cut in two is for the JavaScript half: Python's encoders refuse one.
    """
    check_tools(await list_tools())
    large = SCENARIO["large_number"]
    outcome = as_on_the_wire(await call(large["tool"], large["arguments"]))
    if not outcome.get("isError") or large["about"] not in outcome["content"][0]["text"]:
        raise AssertionError(f"a large number: {outcome}")
    for expected in SCENARIO["calls"]:
        check_call(expected, await call(expected["tool"], expected["arguments"]))
    calls = [call(expected["tool"], expected["arguments"]) for expected in SCENARIO["calls"]]
    for expected, outcome in zip(SCENARIO["calls"], await gather(*calls), strict=True):
        check_call(expected, outcome)


@dataclass
class Features:
    """A client's methods for resources, prompts and completion; each returns the specification's result."""

    list_resources: Callable
    list_templates: Callable
    list_prompts: Callable
    read: Callable
    get_prompt: Callable
    complete: Callable


async def play_features(features):
    """Lists, reads, gets and completes as the scenario prescribes."""
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


@dataclass
class Tour:
    """A client's methods for progress, cancellation, updates and questions.

    `call` takes a tool, its arguments and what is told each report of progress. `cancel` gives up, in the client's
    own way, a call that `call` is at, told as its task. `watch` gives a context in which a function waits for the next
    update of a URI and tells which.
    """

    call: Callable
    cancel: Callable
    watch: Callable[[str], AbstractAsyncContextManager]


async def play_tour(tour):
    """Progress, cancellation, a subscription with its update, and a question."""
    await play_progress(tour)
    await play_cancel(tour)
    await play_subscription(tour)
    expected = SCENARIO["elicit"]
    result = as_on_the_wire(await tour.call(expected["tool"], expected["arguments"], None))
    must_contain(text_of(result), expected["answer"], "the answer to a question")


async def play_progress(tour):
    """Every report arrives, each further than the last."""
    expected, reports = SCENARIO["progress"], []
    result = await tour.call(expected["tool"], expected["arguments"], reports.append)
    must_be_equal(as_on_the_wire(result).get("isError", False), False, "progress")
    must_be_equal(len(reports), expected["reports"], "reports of progress")
    must_be_equal(reports, sorted(set(reports)), "reports that rise")


async def play_cancel(tour):
    """A call that is cancelled while it runs is over on the server, too."""
    expected, has_begun, before = SCENARIO["cancel"], asyncio.Event(), cancelled_calls()
    calling = asyncio.create_task(
        tour.call(expected["tool"], expected["arguments"], lambda _: has_begun.set())
    )
    await within_patience(has_begun.wait())
    await tour.cancel(calling)
    await until(lambda: cancelled_calls() == before + 1, "the call is over on the server")
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)


async def play_subscription(tour):
    """A change of a file is announced; it is changed again until then, since a client may yet be opening its stream."""
    expected = SCENARIO["subscribe"]
    file = Path(os.environ["WEIR_ROOT"], expected["path"])
    async with tour.watch(expected["uri"]) as next_update:
        update = asyncio.create_task(next_update())
        for turn in range(int(PATIENCE_SECONDS / CHANGE_SECONDS)):
            file.write_text(f"change {turn}\n", encoding="utf-8")
            await asyncio.wait({update}, timeout=CHANGE_SECONDS)
            if update.done():
                break
        must_be_equal(str(await within_patience(update)), expected["uri"], "the resource that was updated")


async def play_sample(call):
    """A call that samples, on a server that has such a tool."""
    expected = SCENARIO["sample"]
    result = as_on_the_wire(await call(expected["tool"], expected["arguments"], None))
    must_contain(text_of(result), expected["answer"], "the model's answer")


def answer_form(message, schema):
    """The user's input: the answer, wherever the form has text."""
    must_contain(message, SCENARIO["elicit"]["asked"], "the question")
    return {name: SCENARIO["elicit"]["answer"] for name, field in schema["properties"].items() if field["type"] == "string"}


def answer_sample(messages):
    """The model's answer to these messages."""
    asked = " ".join(block["text"] for message in messages for block in blocks_of(as_on_the_wire(message)["content"]))
    must_contain(asked, SCENARIO["sample"]["asked"], "the prompt")
    return SCENARIO["sample"]["answer"]


def blocks_of(content):
    """Content of one block, or of several since 2025-11-25."""
    return content if isinstance(content, list) else [content]


def text_of(result):
    """The text of a result that is not an error."""
    must_be_equal(result.get("isError", False), False, f"{result}")
    return " ".join(block["text"] for block in result["content"])


def cancelled_calls():
    """How many calls the server counts as cancelled."""
    with urllib.request.urlopen(os.environ["WEIR_METRICS"], timeout=PATIENCE_SECONDS) as response:
        lines = response.read().decode().splitlines()
    counters = [line for line in lines if line.startswith("weir_operations_total{") and 'outcome="cancelled"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in counters)


async def until(is_so, what):
    """Checks until the condition holds."""
    for _ in range(int(PATIENCE_SECONDS / LOOK_SECONDS)):
        if is_so():
            return
        await asyncio.sleep(LOOK_SECONDS)
    raise AssertionError(f"{what}: not within {PATIENCE_SECONDS} s")


async def within_patience(awaitable):
    return await asyncio.wait_for(awaitable, PATIENCE_SECONDS)


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
    must_be_equal({block["type"] for block in result["content"]}, {"text"}, what)
    text, *notes = (block["text"] for block in result["content"])
    must_be_equal(notes, [expected["note"]] if "note" in expected else [], what)
    if "structured" in expected:
        must_be_equal(result["structuredContent"], expected["structured"], what)
        must_be_equal(json.loads(text), expected["structured"], what)
    elif "failure" in expected:
        must_be_equal(text, expected["failure"], what)
    else:
        must_be_equal(text, whole_text(expected["text"]), what)


def sse_url(url):
    """The URL of HTTP+SSE on the server with this URL."""
    return url.removesuffix("/mcp") + "/sse"


async def check_ended(http, url, session_id):
    """A session that was closed is gone: the server no longer knows its id."""
    headers = {"accept": "application/json, text/event-stream", "mcp-session-id": session_id}
    response = await http.post(url, headers=headers, json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
    must_be_equal(response.status_code, 404, "a ping in the closed session")


def is_process(target):
    """Whether a client starts the server itself: it has a desktop's configuration instead of a URL."""
    return target.endswith(".json")


def process_of(target, name="weir"):
    """The command and arguments that start a server, from a desktop's configuration."""
    return json.loads(Path(target).read_text(encoding="utf-8"))["mcpServers"][name]


def as_on_the_wire(model):
    """The specification's names: the SDK's lines differ in how they spell them in Python."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def must_be_equal(found, expected, what):
    """Like assert, but says what it found and stays with `python -O`."""
    if found != expected:
        raise AssertionError(f"{what}: {found!r} instead of {expected!r}")


def must_contain(found, expected, what):
    """Like the above for a part of a text."""
    if expected not in found:
        raise AssertionError(f"{what}: no {expected!r} in {found!r}")


def whole_text(text):
    """A text, or one that is given as a repetition."""
    if isinstance(text, str):
        return text
    times = -(-text["length"] // len(text["repeat"]))
    return (text["repeat"] * times)[: text["length"]]

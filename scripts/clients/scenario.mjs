// What every client is put through, and how its answers are judged: the JavaScript half of scenario.json.
//
// A client hands in two functions for tools: one lists them, the other makes a call and tells its outcome as
// {result} or {errorCode}. For everything else it hands in itself: the SDK's lines agree on those names.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

export const scenario = JSON.parse(readFileSync(new URL('scenario.json', import.meta.url), 'utf8'));

/** Lists the tools, makes every call in turn, then all of them at once. */
export async function play({ listTools, call }) {
  checkTools(await listTools());
  for (const expected of scenario.calls) checkCall(expected, await call(expected));
  const outcomes = await Promise.all(scenario.calls.map((expected) => call(expected)));
  outcomes.forEach((outcome, index) => checkCall(scenario.calls[index], outcome));
}

/** Lists, reads, gets and completes what the scenario says. */
export async function playFeatures(client) {
  const { resources } = await client.listResources();
  assert.deepEqual(resources.map(({ uri }) => uri), scenario.resources);
  const { resourceTemplates } = await client.listResourceTemplates();
  assert.deepEqual(resourceTemplates.map(({ uriTemplate }) => uriTemplate), scenario.templates);
  const { prompts } = await client.listPrompts();
  assert.deepEqual(prompts.map(({ name }) => name), scenario.prompts);
  for (const { uri, contents } of scenario.reads) {
    assert.deepEqual((await client.readResource({ uri })).contents, [{ uri, ...contents }]);
  }
  for (const { prompt, arguments: args, text } of scenario.gets) {
    const { messages } = await client.getPrompt({ name: prompt, arguments: args });
    assert.deepEqual(messages, [{ role: 'user', content: { type: 'text', text } }]);
  }
  for (const { ref, argument, values } of scenario.completions) {
    assert.deepEqual((await client.complete({ ref, argument })).completion.values, values);
  }
}

export function checkTools(tools) {
  assert.deepEqual(tools.map((tool) => tool.name), scenario.tools);
  for (const tool of tools) {
    assert.equal(tool.inputSchema.type, 'object', tool.name);
    assert.equal(tool.annotations?.readOnlyHint, true, tool.name);
  }
}

export function checkCall(expected, outcome) {
  const what = `${expected.tool} ${JSON.stringify(expected.arguments)}`;
  if ('error_code' in expected) {
    assert.equal(outcome.errorCode, expected.error_code, what);
    return;
  }
  assert.ok(outcome.result, `${what}: error ${outcome.errorCode} instead of a result`);
  const { content, structuredContent, isError } = outcome.result;
  assert.equal(isError ?? false, 'failure' in expected, what);
  assert.deepEqual(content.map((block) => block.type), ['text'], what);
  if ('structured' in expected) {
    assert.deepEqual(structuredContent, expected.structured, what);
    assert.deepEqual(JSON.parse(content[0].text), expected.structured, what);
  } else {
    assert.equal(content[0].text, expected.failure ?? wholeText(expected.text), what);
  }
}

/** A session that was closed is gone: the server knows its id no more. */
export async function checkEnded(url, sessionId) {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-session-id': sessionId,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
  });
  assert.equal(response.status, 404, 'a ping in the closed session');
}

function wholeText(text) {
  if (typeof text === 'string') return text;
  return text.repeat.repeat(Math.ceil(text.length / text.repeat.length)).slice(0, text.length);
}

// The tour of every client, and the judgement of its answers: the JavaScript half of scenario.json.
//
// A client hands in two functions for tools: one lists them, the other makes a call and tells its outcome as
// {result} or {errorCode}. For everything else it hands in itself: the SDK's lines agree on those names. For what is
// told while a call runs or between calls, see `playTour`. Environment: WEIR_ROOT is the directory served,
// WEIR_METRICS the URL of the server's figures, EVERYTHING_URL a server with a tool that samples.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const scenario = JSON.parse(readFileSync(new URL('scenario.json', import.meta.url), 'utf8'));

/** Far longer than anything here takes. */
const PATIENCE_MS = 20_000;
/** Time between two checks, and between two changes of a file. */
const LOOK_MS = 50;
const CHANGE_MS = 500;

/** The command and arguments that start a server, from a desktop's configuration. */
export function processOf(path, name) {
  return JSON.parse(readFileSync(path, 'utf8')).mcpServers[name];
}

/**
 * Lists the tools, makes every call in turn, then all of them at once; sends a number beyond 64 bits and an emoji cut in
 * two, which no client may be left waiting with.
 */
export async function play({ listTools, call, cutTextCodes = [-32600] }) {
  checkTools(await listTools());
  checkLargeNumber(await call(scenario.large_number));
  await checkCutText(call, cutTextCodes);
  for (const expected of scenario.calls) checkCall(expected, await call(expected));
  const outcomes = await Promise.all(scenario.calls.map((expected) => call(expected)));
  outcomes.forEach((outcome, index) => checkCall(scenario.calls[index], outcome));
}

/** Lists, reads, gets and completes as the scenario prescribes. */
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

/**
 * Progress, cancellation, a subscription with its update, and a question.
 *
 * `call(name, arguments, {onprogress, signal})` gives a result; aborting the signal cancels the call. `watch(uri,
 * onUpdate)` gives a function that ends the watch.
 */
export async function playTour({ call, watch }) {
  await playProgress(call);
  await playCancel(call);
  await playSubscription(watch);
  const { tool, arguments: args, answer } = scenario.elicit;
  assertContains(textOf(await call(tool, args)), answer);
}

/**
 * Every report arrives, each further than the last. The SDK's own code loses one that it reads together with the
 * answer behind it: it handles answers at once and notifications a moment later.
 */
async function playProgress(call) {
  const { tool, arguments: args, reports } = scenario.progress;
  const told = [];
  const { isError } = await call(tool, args, { onprogress: ({ progress }) => told.push(progress) });
  assert.equal(isError ?? false, false);
  assert.ok(told.length === reports || told.length === reports - 1, `${told.length} of ${reports} reports`);
  assert.deepEqual(told, [...new Set(told)].sort((one, other) => one - other), 'reports that rise');
}

/** A call that is cancelled while it runs is over on the server, too. */
async function playCancel(call) {
  const { tool, arguments: args } = scenario.cancel;
  const before = await cancelledCalls();
  const abort = new AbortController();
  const calling = call(tool, args, { signal: abort.signal, onprogress: () => abort.abort() });
  await assert.rejects(calling);
  await until(async () => (await cancelledCalls()) === before + 1, 'the call is over on the server');
}

/** A change of a file is announced; it is changed again until then, since a client may yet be opening its stream. */
async function playSubscription(watch) {
  const { uri, path } = scenario.subscribe;
  const updates = [];
  const end = await watch(uri, (updated) => updates.push(updated));
  for (let turn = 0; turn < PATIENCE_MS / CHANGE_MS && updates.length === 0; turn += 1) {
    await writeFile(join(process.env.WEIR_ROOT, path), `change ${turn}\n`);
    for (let look = 0; look < CHANGE_MS / LOOK_MS && updates.length === 0; look += 1) await sleep(LOOK_MS);
  }
  assert.equal(updates[0], uri, 'the resource that was updated');
  await end();
}

/** A call that samples, on a server that has such a tool. */
export async function playSample(call) {
  const { tool, arguments: args, answer } = scenario.sample;
  assertContains(textOf(await call(tool, args)), answer);
}

/** The user's input: the answer, wherever the form has text. */
export function answerForm({ message, requestedSchema }) {
  assertContains(message, scenario.elicit.asked);
  const fields = Object.entries(requestedSchema.properties).filter(([, { type }]) => type === 'string');
  return { action: 'accept', content: Object.fromEntries(fields.map(([name]) => [name, scenario.elicit.answer])) };
}

/** The model's answer to these messages. */
export function answerSample({ messages }) {
  assertContains(messages.flatMap(({ content }) => content).map(({ text }) => text).join(' '), scenario.sample.asked);
  return { role: 'assistant', model: 'a model', content: { type: 'text', text: scenario.sample.answer } };
}

/** The text of a result that is not an error. */
function textOf({ content, isError }) {
  assert.equal(isError ?? false, false, JSON.stringify(content));
  return content.map(({ text }) => text).join(' ');
}

function assertContains(found, expected) {
  assert.ok(found.includes(expected), `no '${expected}' in '${found}'`);
}

/** How many calls the server counts as cancelled. */
async function cancelledCalls() {
  const figures = await (await fetch(process.env.WEIR_METRICS)).text();
  const counters = figures
    .split('\n')
    .filter((line) => line.startsWith('weir_operations_total{') && line.includes('outcome="cancelled"'));
  return counters.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

async function until(isSo, what) {
  for (let look = 0; look < PATIENCE_MS / LOOK_MS; look += 1) {
    if (await isSo()) return;
    await sleep(LOOK_MS);
  }
  assert.fail(`${what}: not within ${PATIENCE_MS} ms`);
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
  const notes = 'note' in expected ? [expected.note] : [];
  assert.deepEqual(content.map((block) => block.type), ['text', ...notes.map(() => 'text')], what);
  assert.deepEqual(content.slice(1).map((block) => block.text), notes, what);
  if ('structured' in expected) {
    assert.deepEqual(structuredContent, expected.structured, what);
    assert.deepEqual(JSON.parse(content[0].text), expected.structured, what);
  } else {
    assert.equal(content[0].text, expected.failure ?? wholeText(expected.text), what);
  }
}

/** The argument is out of its range, and the result says which. */
function checkLargeNumber({ result, errorCode }) {
  assert.ok(result?.isError, `a large number: ${JSON.stringify(result)} ${errorCode}`);
  assert.ok(result.content[0].text.includes(scenario.large_number.about), result.content[0].text);
}

/** The value of a promise, if it comes in time. */
async function inTime(promise, what) {
  const timer = new AbortController();
  const late = sleep(PATIENCE_MS, undefined, { signal: timer.signal });
  late.catch(() => {});
  const first = await Promise.race([promise, late]);
  timer.abort();
  assert.ok(first, `${what}: no answer`);
  return first;
}

/** Half of an emoji is refused at once: by a JSON-RPC error, or by HTTP's status with that error in its body. */
async function checkCutText(call, errorCodes) {
  const cut = { tool: 'echo', arguments: { message: '😀'.slice(0, 1) } };
  const outcome = await inTime(call(cut).catch((error) => ({ error })), 'half of an emoji');
  assert.ok(!outcome.result, 'half of an emoji is no text');
  if (outcome.error) assert.match(outcome.error.message, /unpaired surrogate/);
  else assert.ok(errorCodes.includes(outcome.errorCode), `half of an emoji: error ${outcome.errorCode}`);
}

/** The URL of HTTP+SSE on the server with this URL. */
export function sseUrl(url) {
  return new URL('/sse', url);
}

/** A session that was closed is gone: the server no longer knows its id. */
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

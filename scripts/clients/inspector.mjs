// MCP Inspector's command line: one process for every listing and call.
// Usage: inspector.mjs URL|CONFIGURATION legacy|auto|modern|sse REVISION        `sse`: legacy, over HTTP+SSE

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { checkCall, checkTools, scenario, sseUrl } from './scenario.mjs';

const [url, mode, revision] = process.argv.slice(2);
const isSse = mode === 'sse';
const era = isSse ? 'legacy' : mode;
const launcher = new URL('node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js', import.meta.url);
// It keeps a catalogue in the home directory, and secrets elsewhere; the user's own are not touched.
const env = {
  ...process.env,
  HOME: fileURLToPath(new URL('home', import.meta.url)),
  MCP_INSPECTOR_SECRET_STORE: 'memory',
};

/** Its status for a call that failed, and for a tool that the server does not list. */
const EXIT_TOOL = 5;

const overHttp = isSse ? [sseUrl(url).href, '--transport', 'sse'] : [url];
const server = url.endsWith('.json') ? ['--config', url, '--server', 'bare'] : overHttp;

function inspect(...args) {
  const line = [fileURLToPath(launcher), '--cli', ...server, '--protocol-era', era, '--format', 'json', ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, line, { env, maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
      // Its note on where it keeps secrets does not matter here.
      const complaints = stderr.replace(/^\[mcp-inspector\] .*\n/gm, '');
      resolve({ status: error ? error.code : 0, stdout, stderr: complaints });
    });
  });
}

/** The era of an answer: since 2026-07-28 the server names itself in every result,
 * which the command line passes on for calls. */
function checkRevision(result) {
  const name = result._meta?.['io.modelcontextprotocol/serverInfo']?.name;
  assert.equal(name, revision >= '2026-07-28' ? 'weir' : undefined, 'the server as named in a result');
}

async function list() {
  const { status, stdout, stderr } = await inspect('--method', 'tools/list', '--quiet');
  assert.equal(status, 0, stderr);
  checkTools(JSON.parse(stdout).result.tools);
}

async function call(expected) {
  const tool = ['--tool-name', expected.tool, '--tool-args-json', JSON.stringify(expected.arguments)];
  const { status, stdout, stderr } = await inspect('--method', 'tools/call', ...tool);
  if ('error_code' in expected) {
    // It looks the tool up in the listing and never sends the call.
    assert.equal(status, EXIT_TOOL, stderr);
    assert.equal(JSON.parse(stderr).error.code, 'tool_not_found');
    return;
  }
  assert.equal(status, 'failure' in expected ? EXIT_TOOL : 0, stderr);
  if (status === 0) assert.equal(stderr, '', 'complaints, as about schemas');
  const { result } = JSON.parse(stdout);
  checkRevision(result);
  checkCall(expected, { result });
}

function ok({ status, stdout, stderr }) {
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout).result;
}

/** Lists, reads, gets and completes as the scenario prescribes, which also says what its command line cannot do. */
const features = [
  async () => {
    const { resources } = ok(await inspect('--method', 'resources/list'));
    assert.deepEqual(resources.map(({ uri }) => uri), scenario.resources);
  },
  async () => {
    const { resourceTemplates } = ok(await inspect('--method', 'resources/templates/list'));
    assert.deepEqual(resourceTemplates.map(({ uriTemplate }) => uriTemplate), scenario.templates);
  },
  async () => {
    const { prompts } = ok(await inspect('--method', 'prompts/list'));
    assert.deepEqual(prompts.map(({ name }) => name), scenario.prompts);
  },
  ...scenario.reads.map(({ uri, contents }) => async () => {
    assert.deepEqual(ok(await inspect('--method', 'resources/read', '--uri', uri)).contents, [{ uri, ...contents }]);
  }),
  ...scenario.gets.map(({ prompt, arguments: args, text }) => async () => {
    const pairs = Object.entries(args).map(([name, value]) => `${name}=${value}`);
    const got = ok(await inspect('--method', 'prompts/get', '--prompt-name', prompt, '--prompt-args', ...pairs));
    assert.deepEqual(got.messages, [{ role: 'user', content: { type: 'text', text } }]);
  }),
  async () => {
    const { tool, arguments: args } = scenario.progress;
    const told = ['--tool-name', tool, '--tool-args-json', JSON.stringify(args)];
    const { content, isError } = ok(await inspect('--method', 'tools/call', ...told));
    assert.equal(isError ?? false, false, JSON.stringify(content));
  },
];

// Probing ends in one of the other two ways, which make every call; here one shows where it ended.
const calls = era === 'auto' ? scenario.calls.slice(0, 1) : scenario.calls;
const jobs = [list, ...(era === 'auto' ? [] : features), ...calls.map((expected) => () => call(expected))];
const lanes = Array.from({ length: availableParallelism() }, async () => {
  for (let job = jobs.shift(); job; job = jobs.shift()) await job();
});
await Promise.all(lanes);

// mcp-remote: a bridge that a client starts as a child and speaks stdio with, here the TypeScript SDK's v1 line.
// Usage: mcp_remote.mjs URL stdio|sse REVISION        `sse`: the bridge speaks HTTP+SSE with the server

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  McpError,
  ResourceUpdatedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { answerForm, answerSample, play, playFeatures, playSample, playTour, sseUrl } from './scenario.mjs';

const [url, mode] = process.argv.slice(2);
assert.ok(['stdio', 'sse'].includes(mode), mode);
const bridge = fileURLToPath(new URL('node_modules/mcp-remote/dist/proxy.js', import.meta.url));
// It keeps what it knows of servers in a folder; the user's own is not touched.
const env = { ...process.env, MCP_REMOTE_CONFIG_DIR: fileURLToPath(new URL('home', import.meta.url)) };

async function connect(client, target) {
  // Its output on stderr is a report of its own work.
  const isSse = mode === 'sse';
  const place = isSse ? sseUrl(target).href : target;
  const args = [bridge, place, '--allow-http', '--transport', isSse ? 'sse-only' : 'http-only'];
  await client.connect(new StdioClientTransport({ command: process.execPath, args, env, stderr: 'ignore' }));
}

const about = { name: 'weir-clients', version: '1' };
const client = new Client(about, { capabilities: { elicitation: {} } });
client.setRequestHandler(ElicitRequestSchema, ({ params }) => answerForm(params));
await connect(client, url);
assert.equal(client.getServerVersion().name, 'weir');
await play({
  // The first is the bridge's version of HTTP's status. HTTP+SSE says the error on the stream as well, and the bridge
  // passes on whichever it reads first.
  cutTextCodes: mode === 'sse' ? [-32001, -32600] : [-32001],
  listTools: async () => (await client.listTools()).tools,
  call: async ({ tool: name, arguments: args }) => {
    try {
      return { result: await client.callTool({ name, arguments: args }) };
    } catch (error) {
      if (error instanceof McpError) return { errorCode: error.code };
      throw error;
    }
  },
});
await playFeatures(client);
await playTour({
  call: (name, args, options) => client.callTool({ name, arguments: args }, undefined, options),
  watch: async (uri, onUpdate) => {
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => onUpdate(params.uri));
    await client.subscribeResource({ uri });
    return () => client.unsubscribeResource({ uri });
  },
});
await client.close();

const sampler = new Client(about, { capabilities: { sampling: {} } });
sampler.setRequestHandler(CreateMessageRequestSchema, ({ params }) => answerSample(params));
await connect(sampler, process.env.EVERYTHING_URL);
await playSample((name, args) => sampler.callTool({ name, arguments: args }));
await sampler.close();

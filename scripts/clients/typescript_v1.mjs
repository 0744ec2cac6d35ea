// The v1 line of the TypeScript SDK, which knows revisions with a handshake only.
// Usage: typescript_v1.mjs URL|CONFIGURATION default|websocket|sse|stdio REVISION

import assert from 'node:assert/strict';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { WebSocketClientTransport } from '@modelcontextprotocol/sdk/client/websocket.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  McpError,
  ResourceUpdatedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import {
  answerForm,
  answerSample,
  checkEnded,
  play,
  playFeatures,
  playSample,
  playTour,
  processOf,
  sseUrl,
} from './scenario.mjs';

const [url, mode, revision] = process.argv.slice(2);
const transports = {
  default: (url) => new StreamableHTTPClientTransport(new URL(url)),
  websocket: (url) => new WebSocketClientTransport(new URL(url.replace(/^http/, 'ws'))),
  sse: (url) => new SSEClientTransport(sseUrl(url)),
  stdio: (path, name) => new StdioClientTransport(processOf(path, name)),
};
const about = { name: 'weir-clients', version: '1' };
const client = new Client(about, { capabilities: { elicitation: {} } });
client.setRequestHandler(ElicitRequestSchema, ({ params }) => answerForm(params));
const transport = transports[mode](url, 'weir');
// A WebSocket and a process are not told what was agreed on, and one transport keeps it to itself.
let agreed;
if (['websocket', 'stdio'].includes(mode)) transport.setProtocolVersion = (version) => (agreed = version);
await client.connect(transport);
assert.equal(agreed ?? transport.protocolVersion ?? transport._protocolVersion, revision);
assert.equal(client.getServerVersion().name, 'weir');
await play({
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
await client.ping();
const { sessionId } = transport;
if (mode === 'default') {
  assert.ok(sessionId, 'a session id');
  await transport.terminateSession();
}
await client.close();
if (sessionId) await checkEnded(url, sessionId);

const sampler = new Client(about, { capabilities: { sampling: {} } });
sampler.setRequestHandler(CreateMessageRequestSchema, ({ params }) => answerSample(params));
const everything = mode === 'stdio' ? url : process.env.EVERYTHING_URL;
await sampler.connect(transports[mode](everything, 'everything'));
await playSample((name, args) => sampler.callTool({ name, arguments: args }));
await sampler.close();

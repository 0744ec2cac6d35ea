// The v1 line of the TypeScript SDK, which knows revisions with a handshake only.
// Usage: typescript_v1.mjs URL default|sse REVISION        `sse`: over HTTP+SSE

import assert from 'node:assert/strict';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
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
  sseUrl,
} from './scenario.mjs';

const [url, mode, revision] = process.argv.slice(2);
assert.ok(['default', 'sse'].includes(mode), mode);
const isSse = mode === 'sse';
const transportTo = (to) => (isSse ? new SSEClientTransport(sseUrl(to)) : new StreamableHTTPClientTransport(new URL(to)));
const about = { name: 'weir-clients', version: '1' };
const client = new Client(about, { capabilities: { elicitation: {} } });
client.setRequestHandler(ElicitRequestSchema, ({ params }) => answerForm(params));
const transport = transportTo(url);
await client.connect(transport);
// What it agreed on is told by one of them only.
assert.equal(isSse ? transport._protocolVersion : transport.protocolVersion, revision);
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
if (isSse) {
  await client.close();
} else {
  const { sessionId } = transport;
  assert.ok(sessionId, 'a session id');
  await transport.terminateSession();
  await client.close();
  await checkEnded(url, sessionId);
}

const sampler = new Client(about, { capabilities: { sampling: {} } });
sampler.setRequestHandler(CreateMessageRequestSchema, ({ params }) => answerSample(params));
await sampler.connect(transportTo(process.env.EVERYTHING_URL));
await playSample((name, args) => sampler.callTool({ name, arguments: args }));
await sampler.close();

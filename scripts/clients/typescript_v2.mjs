// The v2 line of the TypeScript SDK: with its default negotiation, probing first, or held to the newest revision.
// Usage: typescript_v2.mjs URL|CONFIGURATION default|auto|pin|sse REVISION        `sse`: over HTTP+SSE

import assert from 'node:assert/strict';
import { Client, ProtocolError, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
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
const negotiations = { default: undefined, sse: undefined, auto: { mode: 'auto' }, pin: { mode: { pin: revision } } };
assert.ok(mode in negotiations, mode);
const about = { name: 'weir-clients', version: '1' };
const versionNegotiation = negotiations[mode];
const client = new Client(about, { versionNegotiation, capabilities: { elicitation: {} } });
client.setRequestHandler('elicitation/create', ({ params }) => answerForm(params));
const isProcess = url.endsWith('.json');
const transportTo = (to, name) => {
  if (isProcess) return new StdioClientTransport(processOf(to, name));
  return mode === 'sse' ? new SSEClientTransport(sseUrl(to)) : new StreamableHTTPClientTransport(new URL(to));
};
const transport = transportTo(url, 'weir');
await client.connect(transport);
assert.equal(client.getNegotiatedProtocolVersion(), revision);
assert.equal(client.getServerVersion().name, 'weir');
await play({
  listTools: async () => (await client.listTools()).tools,
  call: async ({ tool: name, arguments: args }) => {
    try {
      return { result: await client.callTool({ name, arguments: args }) };
    } catch (error) {
      if (error instanceof ProtocolError) return { errorCode: error.code };
      throw error;
    }
  },
});
await playFeatures(client);
const isModern = client.getProtocolEra() !== 'legacy';
await playTour({
  call: (name, args, options) => client.callTool({ name, arguments: args }, options),
  watch: async (uri, onUpdate) => {
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => onUpdate(params.uri));
    if (isModern) {
      const subscription = await client.listen({ resourceSubscriptions: [uri] });
      return () => subscription.close();
    }
    await client.subscribeResource({ uri });
    return () => client.unsubscribeResource({ uri });
  },
});
const { sessionId } = transport;
const hasId = mode !== 'sse' && !isModern && !isProcess;
assert.equal(sessionId !== undefined, hasId, 'a session id in the era that has them, over Streamable HTTP alone');
if (sessionId) await transport.terminateSession();
await client.close();
if (sessionId) await checkEnded(url, sessionId);

const sampler = new Client(about, { versionNegotiation, capabilities: { sampling: {} } });
sampler.setRequestHandler('sampling/createMessage', ({ params }) => answerSample(params));
await sampler.connect(transportTo(isProcess ? url : process.env.EVERYTHING_URL, 'everything'));
await playSample((name, args) => sampler.callTool({ name, arguments: args }));
await sampler.close();

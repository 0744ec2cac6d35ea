// The v2 line of the TypeScript SDK: with its default negotiation, probing first, or held to the newest revision.
// Usage: typescript_v2.mjs URL default|auto|pin REVISION

import assert from 'node:assert/strict';
import { Client, ProtocolError, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { checkEnded, play, playFeatures } from './scenario.mjs';

const [url, mode, revision] = process.argv.slice(2);
const negotiations = { default: undefined, auto: { mode: 'auto' }, pin: { mode: { pin: revision } } };
assert.ok(mode in negotiations, mode);
const client = new Client({ name: 'weir-clients', version: '1' }, { versionNegotiation: negotiations[mode] });
const transport = new StreamableHTTPClientTransport(new URL(url));
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
const { sessionId } = transport;
assert.equal(sessionId !== undefined, client.getProtocolEra() === 'legacy', 'a session id in the era that has them');
if (sessionId) await transport.terminateSession();
await client.close();
if (sessionId) await checkEnded(url, sessionId);

// The v1 line of the TypeScript SDK, which knows revisions with a handshake only.
// Usage: typescript_v1.mjs URL default REVISION

import assert from 'node:assert/strict';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpError } from '@modelcontextprotocol/sdk/types.js';
import { checkEnded, play, playFeatures } from './scenario.mjs';

const [url, mode, revision] = process.argv.slice(2);
assert.equal(mode, 'default');
const client = new Client({ name: 'weir-clients', version: '1' });
const transport = new StreamableHTTPClientTransport(new URL(url));
await client.connect(transport);
assert.equal(transport.protocolVersion, revision);
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
await client.ping();
const { sessionId } = transport;
assert.ok(sessionId, 'a session id');
await transport.terminateSession();
await client.close();
await checkEnded(url, sessionId);

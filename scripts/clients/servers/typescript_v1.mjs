// A server on stdio of the TypeScript SDK 1: a tool that echoes, and one that asks.
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { z } from 'zod';

const server = new McpServer({ name: 'typescript-1', version: '1.0.0' });
const text = (text) => ({ content: [{ type: 'text', text }] });
server.registerTool('echo', { inputSchema: { message: z.string() } }, async ({ message }) => text(message));
server.registerTool('ask', { inputSchema: { message: z.string() } }, async ({ message }) => {
  const properties = { name: { type: 'string' } };
  const answer = await server.server.elicitInput({ message, requestedSchema: { type: 'object', properties } });
  return text(`Hello, ${answer.content?.name}`);
});
await server.connect(new StdioServerTransport());

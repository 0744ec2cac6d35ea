// A server on stdio of the TypeScript SDK 2, which speaks both eras: a tool that echoes.
import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';

serveStdio(() => {
  const server = new McpServer({ name: 'typescript-2', version: '1.0.0' }, { capabilities: { tools: {} } });
  const text = (text) => ({ content: [{ type: 'text', text }] });
  server.registerTool('echo', { inputSchema: z.object({ message: z.string() }) }, async ({ message }) => text(message));
  return server;
});

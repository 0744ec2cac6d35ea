// The peer: `echo`, `blob` and `sleep` on the official TypeScript SDK, as its documentation shows it.
//
// Calls are answered as JSON by `createMcpHandler`, which needs no sessions in either era; with the argument `--sessions`
// there is a transport for each legacy session instead. It prints `listening ADDRESS` once it serves.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz';
const text = (text) => ({ content: [{ type: 'text', text }] });
// Once for all servers, of which there is one for every request or session.
const echo = { description: 'Answers with the message it was given.', inputSchema: z.object({ message: z.string() }) };
const blob = {
  description: 'Answers with the alphabet, repeated to this many bytes.',
  inputSchema: z.object({ bytes: z.number().int().nonnegative() }),
};
const sleep = { description: 'Waits this many milliseconds.', inputSchema: z.object({ ms: z.number().int() }) };

function server() {
  const server = new McpServer({ name: 'typescript', version: '1.0.0' });
  server.registerTool('echo', echo, async ({ message }) => text(message));
  server.registerTool('blob', blob, async ({ bytes }) =>
    text(ALPHABET.repeat(bytes / ALPHABET.length + 1).slice(0, bytes)),
  );
  server.registerTool('sleep', sleep, async ({ ms }) => {
    await new Promise((done) => setTimeout(done, ms));
    return text(`slept ${ms} ms`);
  });
  return server;
}

function withSessions() {
  const sessions = new Map();
  return async (request, response) => {
    const known = sessions.get(request.headers['mcp-session-id']);
    if (known) return known.handleRequest(request, response);
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      enableJsonResponse: true,
      onsessioninitialized: (id) => sessions.set(id, transport),
      onsessionclosed: (id) => sessions.delete(id),
    });
    await server().connect(transport);
    await transport.handleRequest(request, response);
  };
}

const handler = process.argv.includes('--sessions')
  ? withSessions()
  : toNodeHandler(createMcpHandler(server, { responseMode: 'json' }));
const http = createServer((request, response) => {
  request.socket.setNoDelay(true);
  return handler(request, response);
});
// Thousands connect at once.
http.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  console.log(`listening 127.0.0.1:${http.address().port}`);
});

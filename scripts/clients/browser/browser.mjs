// A browser from the system's packages, and pages for it on a port of their own.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { chromium } from 'playwright-core';

/** Far longer than anything here takes. */
export const PATIENCE_MS = 20_000;

/** Options to run as root and without a screen, and without any request to the outside. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.svg': 'image/svg+xml',
};

/** Serves a folder; any path that is not a file gets its index. Returns the port. */
async function serve(folder) {
  const server = createServer(async ({ url }, response) => {
    const { pathname } = new URL(url, 'http://localhost');
    const name = TYPES[extname(pathname)] ? pathname : '/index.html';
    try {
      const body = await readFile(join(folder, name));
      response.writeHead(200, { 'Content-Type': TYPES[extname(name)] }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: server.address().port, close: () => server.close() };
}

/**
 * Runs `act(open)` with a fresh browser. `open(host, query)` opens the folder's index as a page of that host, which may
 * be any name: all of them lead here.
 */
export async function withPages(folder, act) {
  const pages = await serve(folder);
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: [...FLAGS, '--host-resolver-rules=MAP *.example 127.0.0.1'],
  });
  try {
    await act(async (host, query = '') => {
      const page = await browser.newPage();
      page.setDefaultTimeout(PATIENCE_MS);
      await page.goto(`http://${host}:${pages.port}/${query}`);
      return page;
    });
  } finally {
    await browser.close();
    pages.close();
  }
}

// A page on another port: a session over fetch, an EventSource, and a page that is not allowed.
// Usage: page.mjs URL MODE REVISION

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withPages } from './browser.mjs';

const [url, mode, revision] = process.argv.slice(2);
const { tools, progress, subscribe } = JSON.parse(readFileSync(new URL('../scenario.json', import.meta.url), 'utf8'));

/** Writes the watched file again until the page has received the change. */
async function change() {
  await writeFile(join(process.env.WEIR_ROOT, subscribe.path), `changed for ${mode} at ${Date.now()}\n`);
}

const modes = {
  async session(open) {
    const page = await open('localhost');
    await page.exposeFunction('change', change);
    const facts = [url, revision, { tools, progress, subscribe }];
    await page.evaluate(([at, as, given]) => window.tour.session(at, as, { ...given, change: window.change }), facts);
  },
  async stateless(open) {
    const page = await open('127.0.0.1');
    await page.evaluate(([at, as]) => window.tour.stateless(at, as), [url, revision]);
  },
  async sse(open) {
    const page = await open('localhost');
    await page.evaluate(([at, as]) => window.tour.events(at, as), [url, revision]);
  },
  async foreign(open) {
    const page = await open('evil.example');
    await page.evaluate(([at, as]) => window.tour.foreign(at, as), [url, revision]);
  },
};

assert(mode in modes, `no mode ${mode}`);
await withPages(fileURLToPath(new URL('page', import.meta.url)), modes[mode]);

// The web interface of MCP Inspector in its direct mode, in which the page itself is the client.
// Usage: inspector.mjs URL direct REVISION

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { withPages } from './browser.mjs';

const [url, mode, revision] = process.argv.slice(2);
const interfaceFolder = new URL('node_modules/@modelcontextprotocol/inspector-client/dist', import.meta.url);

assert.equal(mode, 'direct');

/** The titles of the tools, which the interface shows. */
async function titles() {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'MCP-Protocol-Version': revision },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
  });
  const { result } = await response.json();
  return new Map(result.tools.map(({ name, title }) => [name, title ?? name]));
}

const shown = await titles();
assert(shown.size > 0, 'there are tools');
await withPages(fileURLToPath(interfaceFolder), async (open) => {
  const page = await open('localhost', `?transport=streamable-http&serverUrl=${encodeURIComponent(url)}`);
  await page.getByLabel('Connection Type').click();
  await page.getByRole('option', { name: 'Direct' }).click();
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
  await page.getByText('Connected', { exact: true }).waitFor();
  await page.getByRole('tab', { name: 'Tools' }).click();
  await page.getByRole('button', { name: 'List Tools' }).click();
  for (const title of shown.values()) await page.getByText(title, { exact: true }).first().waitFor();
  await page.getByText(shown.get('echo'), { exact: true }).first().click();
  await page.getByRole('textbox', { name: 'message' }).fill('grüße ☃');
  await page.getByRole('button', { name: 'Run Tool' }).click();
  await page.getByText('Tool Result:').getByText('Success').waitFor();
  assert((await page.getByText('grüße ☃').count()) > 0, 'the result is shown');
});

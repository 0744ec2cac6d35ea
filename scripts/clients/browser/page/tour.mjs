// A page's tour with only what every browser has: fetch and EventSource. Runs in the browser.

const JSON_TYPE = 'application/json';
const BOTH_TYPES = `${JSON_TYPE}, text/event-stream`;
const META = 'io.modelcontextprotocol';

function check(condition, what) {
  if (!condition) throw new Error(what);
}

function equal(found, wanted, what) {
  const [left, right] = [JSON.stringify(found), JSON.stringify(wanted)];
  check(left === right, `${what}: ${left}, not ${right}`);
}

/** Messages of an event stream, one after another. */
async function* messagesOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
      const data = text.slice(0, end).split('\n').filter((line) => line.startsWith('data: '));
      if (data.length && data[0] !== 'data: ') yield JSON.parse(data.map((line) => line.slice(6)).join('\n'));
    }
  }
}

/** A client of one session. */
class Client {
  constructor(url, revision) {
    this.url = url;
    this.revision = revision;
    this.ids = 0;
  }

  fields(more = {}) {
    const fields = { 'Content-Type': JSON_TYPE, Accept: BOTH_TYPES, 'MCP-Protocol-Version': this.revision, ...more };
    if (this.session) fields['Mcp-Session-Id'] = this.session;
    return fields;
  }

  post(message, fields) {
    const body = JSON.stringify({ jsonrpc: '2.0', ...message });
    return fetch(this.url, { method: 'POST', headers: this.fields(fields), body });
  }

  /** The answer to a request, and the messages before it. */
  async ask(method, params = {}, fields = {}) {
    const id = ++this.ids;
    const response = await this.post({ id, method, params }, fields);
    const told = [];
    if (response.headers.get('Content-Type') === JSON_TYPE) return { response, answer: await response.json(), told };
    for await (const message of messagesOf(response)) {
      if (message.id === id) return { response, answer: message, told };
      told.push(message);
    }
    throw new Error(`${method}: the stream ended without an answer`);
  }

  async result(method, params, fields) {
    const { answer } = await this.ask(method, params, fields);
    check(answer.result, `${method}: ${JSON.stringify(answer)}`);
    return answer.result;
  }

  async initialize() {
    const { response, answer } = await this.ask('initialize', {
      protocolVersion: this.revision,
      capabilities: {},
      clientInfo: { name: 'page', version: '1' },
    });
    equal(answer.result.protocolVersion, this.revision, 'the revision');
    this.session = response.headers.get('Mcp-Session-Id');
    check(this.session, 'the page reads the id of its session');
    const { status } = await this.post({ method: 'notifications/initialized' });
    equal(status, 202, 'the status of a notification');
  }
}

/** A session of Streamable HTTP from its beginning to its end. `change` changes the watched file. */
export async function session(url, revision, { tools, progress, subscribe, change }) {
  const client = new Client(url, revision);
  await client.initialize();
  const listed = await client.result('tools/list');
  equal(listed.tools.map(({ name }) => name).sort(), [...tools].sort(), 'the tools');

  const echo = { name: 'echo', arguments: { message: 'grüße ☃' } };
  equal((await client.result('tools/call', echo)).content[0].text, 'grüße ☃', 'an echo');
  // Fields that a page may send beside its own: what a gateway wants, and a trace.
  const more = { Authorization: 'Bearer x', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
  equal((await client.result('tools/call', echo, more)).content[0].text, 'grüße ☃', 'an echo with more fields');

  const { answer, told } = await client.ask('tools/call', {
    name: progress.tool,
    arguments: progress.arguments,
    _meta: { progressToken: 'page' },
  });
  check(answer.result && !answer.result.isError, `a call with progress: ${JSON.stringify(answer)}`);
  equal(told.map(({ method }) => method), Array(progress.reports).fill('notifications/progress'), 'what it told');

  const getStream = await fetch(url, { headers: client.fields({ Accept: 'text/event-stream' }) });
  equal([getStream.status, getStream.headers.get('Content-Type')], [200, 'text/event-stream'], 'the GET stream');
  await client.result('resources/subscribe', { uri: subscribe.uri });
  await change();
  for await (const message of messagesOf(getStream)) {
    equal([message.method, message.params.uri], ['notifications/resources/updated', subscribe.uri], 'an update');
    break;
  }

  await refusals(client);
  const ended = await fetch(url, { method: 'DELETE', headers: client.fields() });
  check(ended.ok, `the end of the session: ${ended.status}`);
  const { response, answer: late } = await client.ask('tools/list');
  equal([response.status, late.id], [404, client.ids], 'a call behind the end');
  check(late.error.message, 'the page reads why');
}

/** The page can read refusals. */
async function refusals(client) {
  const json = await client.post({ id: 1, method: 'ping' }, { Accept: JSON_TYPE });
  equal(json.status, 406, 'JSON alone');
  check((await json.text()).includes('text/event-stream'), 'the page reads what to accept');
  const path = await fetch(new URL('nowhere', client.url), { method: 'POST', headers: client.fields(), body: '{}' });
  equal([path.status, await path.text()], [404, 'no such path\n'], 'another path');
  const put = await fetch(client.url, { headers: client.fields({ 'Last-Event-ID': 'none' }) });
  check(!put.ok && (await put.text()), 'the page reads what is wrong with where it was');
  const { response, answer } = await client.ask('no/method');
  check(response.status >= 200 && answer.error.code === -32601, `an unknown method: ${JSON.stringify(answer)}`);
}

/** One call without a session. */
export async function stateless(url, revision) {
  const client = new Client(url, revision);
  const { response, answer } = await client.ask(
    'tools/call',
    {
      name: 'echo',
      arguments: { message: 'x' },
      _meta: {
        [`${META}/protocolVersion`]: revision,
        [`${META}/clientInfo`]: { name: 'page', version: '1' },
        [`${META}/clientCapabilities`]: {},
      },
    },
    { 'Mcp-Method': 'tools/call', 'Mcp-Name': 'echo' },
  );
  equal([response.status, answer.result.content[0].text], [200, 'x'], 'an echo');
}

/** HTTP+SSE by the browser's own EventSource. */
export async function events(url, revision) {
  const place = new URL('/sse', url);
  const source = new EventSource(place);
  try {
    const next = (name) =>
      new Promise((resolve, reject) => {
        source.addEventListener(name, ({ data }) => resolve(data), { once: true });
        source.addEventListener('error', () => reject(new Error(`no ${name}: the stream broke`)), { once: true });
      });
    const endpoint = new URL(await next('endpoint'), place);
    equal([endpoint.origin, endpoint.pathname], [place.origin, '/messages'], 'where to post');
    const message = {
      jsonrpc: '2.0',
      id: 'first',
      method: 'initialize',
      params: { protocolVersion: revision, capabilities: {}, clientInfo: { name: 'page', version: '1' } },
    };
    const answer = next('message');
    const post = (place, body) => fetch(place, { method: 'POST', headers: { 'Content-Type': JSON_TYPE }, body });
    const posted = await post(endpoint, JSON.stringify(message));
    equal([posted.status, await posted.text()], [202, 'Accepted'], 'what a message is answered with');
    const { id, result } = JSON.parse(await answer);
    equal([id, result.protocolVersion], ['first', revision], 'the answer to `initialize`');
    const lost = await post(new URL('/messages?sessionId=none', url), '{}');
    check(!lost.ok && (await lost.text()), 'the page reads that there is no such stream');
  } finally {
    source.close();
  }
}

/** A page that is not allowed succeeds with nothing, and reads nothing. */
export async function foreign(url, revision) {
  const client = new Client(url, revision);
  const attempts = {
    'a preflight': () => client.post({ id: 1, method: 'ping' }),
    'a simple request': () => fetch(url, { method: 'POST', body: '{}' }),
    'a GET': () => fetch(url),
  };
  for (const [what, attempt] of Object.entries(attempts)) {
    const outcome = await attempt().then(({ status }) => status, (error) => error.name);
    equal(outcome, 'TypeError', what);
  }
}

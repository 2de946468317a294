/** `report --follow`: the page while a run trains. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { follow } from '../../src/cli/follow.js';
import { Printer } from '../../src/cli/output.js';
import { SERVICES } from '../../src/cli/services.js';
import type { LogEvent } from '../../src/log.js';
import { eventWriter } from '../../src/log-writer.js';
import { CHECK, RUN_END, RUN_START, trainStep } from '../events.js';
import { browser } from '../tools.js';
import { run, Screen } from './stand-ins.js';

function linesOf(...events: readonly LogEvent[]): string {
  let text = '';
  const write = eventWriter({ write: (line: string) => (text += line) });
  events.forEach(write);
  return text;
}

/** Serves the report of an unfinished run with two steps. */
async function serve(t: TestContext, { exists = true } = {}) {
  const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-follow-'));
  const file = join(folder, 'log.ndjson');
  if (exists) fs.writeFileSync(file, linesOf({ ...RUN_START, steps: 9 }, CHECK, trainStep(1), trainStep(2)));
  const [stdout, stderr] = [new Screen(), new Screen()];
  const ended = run(['report', folder, '--follow'], { stdout, stderr }).then(({ exitCode }) => exitCode);
  const stop = async () => {
    process.emit('SIGUSR1', 'SIGUSR1'); // at SIGINT, the browser's library would end the tests
    return ended;
  };
  t.after(async () => {
    await stop();
    fs.rmSync(folder, { recursive: true });
  });
  for (let left = 1000; !stdout.text.includes('\n'); left--) {
    assert.ok(left > 0, stderr.text);
    await sleep(10);
  }
  return { folder, file, url: new URL(stdout.lines[0]!), stdout, stderr, stop };
}

interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: string;
}

function ask(url: URL | string, options: http.RequestOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { agent: false, ...options }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text) => (body += text));
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body }));
    });
    request.on('error', reject).end();
  });
}

test('report --follow serves the page and its data to whoever has the token, until a signal', async (t) => {
  const { file, url, stderr, stop } = await serve(t);
  assert.match(url.href, /^http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{32}$/);
  assert.match(stderr.text, /Ctrl-C ends the page, not the training\n$/);
  const page = await ask(url);
  assert.equal(page.status, 200);
  assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
  assert.match(page.body, /<meta name="live" content="live.json"/);
  for (const [name, value] of Object.entries({
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  })) {
    assert.equal(page.headers[name], value);
  }
  const live = new URL(`/live.json${url.search}`, url);
  const before = await ask(live);
  assert.equal(before.headers['report-final'], undefined);
  assert.match((JSON.parse(before.body) as { main: string }).main, /unfinished/);
  fs.appendFileSync(file, linesOf(trainStep(3), RUN_END));
  await sleep(600);
  const after = await ask(live);
  assert.equal(after.headers['report-final'], 'yes');
  assert.notEqual(after.body, before.body);
  assert.equal((await ask(url)).status, 200, 'it goes on after the end of the run');
  assert.equal(await stop(), 138);
  await assert.rejects(ask(url), { code: 'ECONNREFUSED' });
});

test('report --follow refuses another token, host name, method and path', async (t) => {
  const { url } = await serve(t);
  const { port, search } = url;
  const statusOf = async (path: string, options: http.RequestOptions = {}) =>
    (await ask(`http://127.0.0.1:${port}/`, { path, ...options })).status;
  assert.equal(await statusOf(`/${search}`), 200);
  const other = `${search.slice(0, -1)}${search.endsWith('A') ? 'B' : 'A'}`;
  for (const path of ['/', '/?token=', `/${other}`, `/${search}x`, '/live.json', '/report.html', '/../log.ndjson']) {
    assert.equal(await statusOf(path), 403, path);
  }
  for (const host of ['example.com', `example.com:${port}`, '127.0.0.1', `127.0.0.1.example.com:${port}`]) {
    assert.equal(await statusOf(`/${search}`, { headers: { host } }), 403, host);
  }
  assert.equal(await statusOf(`/${search}`, { headers: { host: `LOCALHOST:${port}` } }), 200);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE']) {
    const { status, headers } = await ask(url, { method });
    assert.deepEqual([status, headers.allow], [405, 'GET, HEAD'], method);
  }
  for (const path of ['/log.ndjson', '/config.json', '//', '/checkpoints/', '/%2e%2e/']) {
    assert.equal(await statusOf(`${path}${search}`), 404, path);
  }
  const head = await ask(url, { method: 'HEAD' });
  assert.deepEqual([head.status, head.body], [200, '']);
  assert.ok(Number(head.headers['content-length']) > 1000);
});

test('report --follow ends at a signal that comes before its port is open', { timeout: 10_000 }, async (t) => {
  const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-follow-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const [stdout, stderr] = [new Printer(new Screen()), new Printer(new Screen())];
  const ended = follow([folder], {}, { ...SERVICES, stdout, stderr });
  process.emit('SIGUSR1', 'SIGUSR1');
  assert.equal(await ended, 138);
});

test('report --follow waits for a log, and explains one that cannot be read', async (t) => {
  const { file, url, stderr } = await serve(t, { exists: false });
  assert.ok(stderr.text.includes(`waiting for ${file}, which does not exist yet\n`));
  assert.equal((await ask(url)).status, 200);
  fs.mkdirSync(file);
  await sleep(600);
  const { status, body } = await ask(url);
  assert.equal(status, 500);
  assert.match(body, /^Cannot read the log .*log\.ndjson/);
});

test('report --follow refuses a port in use, and flags that make a file', async (t) => {
  const { folder, url } = await serve(t);
  const used = await run(['report', folder, '--follow', '--port', url.port]);
  assert.equal(used.exitCode, 2);
  assert.match(
    used.stderr.text,
    /^error: Cannot serve the report on port \d+: another program uses it; choose another --port, or 0/,
  );
  for (const flag of ['--json', '--markdown', '--csv', '--check']) {
    assert.equal((await run(['report', folder, '--follow', flag])).exitCode, 2, flag);
  }
  const alone = await run(['report', folder, '--port', '0']);
  assert.deepEqual(
    [alone.exitCode, alone.stderr.text],
    [2, 'error: Cannot use --port without --follow; add --follow\n'],
  );
});

const chromium = await browser();
test('a browser shows new steps as the log grows', { skip: 'skip' in chromium && chromium.skip }, async (t) => {
  if ('skip' in chromium) return;
  const { file, url } = await serve(t);
  const page = await chromium.tool.newPage();
  const errors: string[] = [];
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(url.href);
  /** A function of Playwright's would need `eval`, which the page's policy forbids. */
  const until = async (code: string) => {
    for (let left = 800; !(await page.evaluate(code)); left--) {
      assert.ok(left > 0, code);
      await sleep(25);
    }
  };
  const shows = (text: string) => until(`document.getElementById('main').innerText.includes(${JSON.stringify(text)})`);
  await shows('unfinished');
  const steps = Array.from({ length: 1_231 }, (_, i) => trainStep(i + 3));
  fs.appendFileSync(file, linesOf(...steps));
  await shows('1,233');
  fs.appendFileSync(file, linesOf({ ...RUN_END, steps: 1_233 }));
  await until(`document.getElementById('live').textContent === 'The run has ended.'`);
  assert.deepEqual(errors, []);
  await page.close();
});

/** The page in a real browser, without a network. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { livePage, reportPage } from '../../src/report/html.js';
import type { Report } from '../../src/report/model.js';
import { folderOf } from '../data/sets.js';
import { browser, type Page, type PageOptions, toolFile } from '../tools.js';
import { EMPTY, HOSTILE_REPORT, MANY, ONE, PAIR, runReport } from './reports.js';

const [found, axe] = [await browser(), toolFile('axe-core/axe.min.js')];
const skip = ('skip' in found && found.skip) || ('skip' in axe && axe.skip);
const SIZE = { width: 1280, height: 900 };

/** Opens the page of a report from a file. Collects what goes wrong. */
async function open(t: TestContext, report: Report, options: PageOptions = {}) {
  const file = join(folderOf(t, {}), 'report.html');
  fs.writeFileSync(file, reportPage(report));
  return watched(t, pathToFileURL(file).href, { offline: true, ...options });
}

async function watched(t: TestContext, url: string, options: PageOptions) {
  assert.ok('tool' in found);
  const page = await found.tool.newPage({ viewport: SIZE, ...options });
  t.after(() => page.close());
  const [problems, requests]: [string[], string[]] = [[], []];
  page.on('console', (message) => problems.push(message.text()));
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(url, { waitUntil: 'load' });
  return { page, problems, requests, url };
}

/** A number of marks of each chart: the bars, lines and texts in its picture. */
function marksOf(page: Page): Promise<Record<string, number>> {
  return page.evaluate(
    `Object.fromEntries([...document.querySelectorAll('.chart')].map((each) => [each.id, each.querySelectorAll('svg path, svg text').length]))`,
  );
}

/** Waits for an expression. A function of Playwright's would need `eval`, which the page's policy forbids. */
async function until(page: Page, code: string): Promise<void> {
  for (let i = 0; !(await page.evaluate(code)); i++) {
    assert.ok(i < 400, code);
    await sleep(25);
  }
}

const rangeOf = (page: Page, id: string) => page.evaluate(`document.getElementById('chart-${id}').dataset.range`);
const overflow = (page: Page) => page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');

for (const [name, report, charts] of [
  ['one run', ONE, 12],
  ['two runs', PAIR, 12],
  ['many runs', MANY, 3],
  ['an empty log', EMPTY, 0],
] as const) {
  test(`the page of ${name} draws its charts, without an error or a request, at any width`, { skip }, async (t) => {
    const { page, problems, requests, url } = await open(t, report);
    assert.deepEqual(problems, []);
    const marks = await marksOf(page);
    assert.deepEqual(Object.keys(marks).length, charts);
    for (const [id, count] of Object.entries(marks)) assert.ok(count >= 8, `${id} has ${count} marks`);
    await page.evaluate(`document.querySelectorAll('details').forEach((each) => { each.open = true; })`);
    for (const width of [1280, 360]) {
      await page.setViewportSize({ width, height: 800 });
      assert.equal(await overflow(page), 0, `${width} pixels`);
    }
    assert.deepEqual([problems, requests], [[], [url]]);
  });
}

test('keys and buttons zoom a chart, and the wheel does once it has the focus', { skip }, async (t) => {
  const { page, problems } = await open(t, ONE);
  const names = () =>
    page.evaluate<string[]>(
      `[...document.querySelectorAll('#chart-timeline-0 svg text')].map((each) => each.textContent)`,
    );
  const axis = () => page.evaluate<string>(`document.querySelector('#chart-timeline-0 svg').textContent`);
  const whole = await axis();
  await page.focus('#chart-timeline-0');
  await page.keyboard.press('+');
  assert.equal(await rangeOf(page, 'timeline-0'), '25.00 75.00');
  assert.notEqual(await axis(), whole);
  assert.match((await page.textContent('#range'))!, /^Timeline, step 21: 6\.\d+ ms to 20\.\d+ ms$/);
  await page.keyboard.press('ArrowRight');
  assert.equal(await rangeOf(page, 'timeline-0'), '37.50 87.50');
  await page.click('#figure-timeline-0 [data-zoom="left"]');
  assert.equal(await rangeOf(page, 'timeline-0'), '25.00 75.00');
  // What is not in the range is not drawn: the update is at the end of the step.
  assert.equal((await names()).filter((each) => each === 'update').length, 1, 'the legend alone');
  await page.keyboard.press('0');
  assert.equal(await rangeOf(page, 'timeline-0'), '0.00 100.00');
  assert.ok((await names()).filter((each) => each === 'update').length > 1);
  for (const isFocused of [false, true]) {
    await page.evaluate(
      `document.activeElement.blur(); document.getElementById('chart-loss').scrollIntoView({ behavior: 'instant', block: 'center' })`,
    );
    const [x, y] = await page.evaluate<[number, number]>(
      `(() => { const box = document.getElementById('chart-loss').getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()`,
    );
    if (isFocused) await page.focus('#chart-loss');
    await page.mouse.move(x, y);
    await page.mouse.wheel(0, -100);
    await sleep(250);
    assert.equal((await rangeOf(page, 'loss')) !== '0.00 100.00', isFocused);
  }
  assert.deepEqual(problems, []);
});

test('another traced step can be chosen', { skip }, async (t) => {
  const { page } = await open(t, {
    ...ONE,
    runs: [runReport({ traces: [{ ...runReport().traces[0]!, towers: [] }, runReport().traces[1]!] })],
  });
  const marks = async () => (await marksOf(page))['chart-timeline-0']!;
  const before = await marks();
  await page.evaluate(
    `(() => { const select = document.getElementById('step-timeline-0'); select.selectedIndex = 0; select.dispatchEvent(new Event('change', { bubbles: true })); })()`,
  );
  assert.ok((await marks()) < before / 2);
});

const COLOURS = `(() => { const text = document.querySelector('#chart-loss svg text'); return [getComputedStyle(document.body).backgroundColor, getComputedStyle(text).fill]; })()`;

test('the page is dark or light as the system is or as its button says, and light on paper', { skip }, async (t) => {
  const { page } = await open(t, ONE, { colorScheme: 'dark' });
  const colours = () => page.evaluate<[string, string]>(COLOURS);
  const dark = await colours();
  await page.click('#theme');
  const light = await colours();
  assert.notEqual(light[0], dark[0]);
  assert.notEqual(light[1], dark[1]);
  await page.click('#theme');
  assert.deepEqual(await colours(), dark);
  for (const [event, expected] of [
    ['beforeprint', light],
    ['afterprint', dark],
  ] as const) {
    await page.evaluate(`dispatchEvent(new Event('${event}'))`);
    assert.equal((await colours())[1], expected[1], event);
  }
  await page.emulateMedia({ media: 'print' });
  await until(page, `getComputedStyle(document.querySelector('#chart-loss svg text')).fill === '${light[1]}'`);
  assert.equal((await colours())[0], 'rgb(255, 255, 255)');
  const shown = `['.toolbar', '.top', 'nav'].map((each) => getComputedStyle(document.querySelector(each)).display)`;
  assert.deepEqual(await page.evaluate(shown), ['none', 'none', 'none']);
});

test('axe finds nothing that keeps people out', { skip }, async (t) => {
  assert.ok('tool' in axe);
  const source = fs.readFileSync(axe.tool, 'utf8');
  for (const [report, colorScheme] of [
    [ONE, 'light'],
    [PAIR, 'dark'],
    [MANY, 'light'],
  ] as const) {
    const { page } = await open(t, report, { colorScheme });
    await page.evaluate(
      `for (const id of ['data-loss', 'config-0']) document.getElementById(id)?.setAttribute('open', '')`,
    );
    await page.evaluate(`${source}; 0`);
    const violations = await page.evaluate<unknown[]>(
      `axe.run({ exclude: [['svg']] }, { resultTypes: ['violations'] }).then(({ violations }) => violations.map(({ id, impact, nodes }) => [id, impact, nodes[0].html, nodes[0].failureSummary]))`,
    );
    assert.deepEqual(violations, []);
  }
});

test('names of a log are text: in the page, in its charts and beside the mouse', { skip }, async (t) => {
  const { page, problems, requests } = await open(t, HOSTILE_REPORT);
  assert.equal(await page.evaluate('window.broken ?? "whole"'), 'whole');
  assert.equal(await page.evaluate('document.images.length'), 0);
  await page.setViewportSize({ width: 360, height: 800 });
  assert.equal(await overflow(page), 0);
  await page.setViewportSize(SIZE);
  await page.evaluate(
    `document.getElementById('chart-step-time').scrollIntoView({ behavior: 'instant', block: 'center' })`,
  );
  const [x, y] = await page.evaluate<[number, number]>(
    `(() => { const box = document.getElementById('chart-step-time').getBoundingClientRect(); return [box.x + box.width / 2, box.y + 80]; })()`,
  );
  await page.mouse.move(x, y);
  await page.waitForSelector('.tip-row', { state: 'visible' });
  assert.match((await page.textContent('#chart-step-time'))!, /<\/script><\/style><img src=x/);
  assert.equal(await page.evaluate('document.images.length'), 0);
  assert.deepEqual([problems, requests.length], [[], 1]);
});

test('without JavaScript, text and tables are there', { skip }, async (t) => {
  const { page } = await open(t, ONE, { javaScriptEnabled: false });
  const text = (await page.textContent('body'))!;
  for (const part of [
    'The charts need JavaScript',
    'Computing limits the step',
    '83.3 %',
    'Data of “Loss”',
    'optimizer.momentum',
  ])
    assert.ok(text.includes(part), part);
  assert.equal((await page.content()).match(/<svg/g), null);
});

test('a live page shows what is new, and keeps what the reader did', { skip }, async (t) => {
  let [steps, isFinal] = [100, false];
  const requests: string[] = [];
  const report = (): Report => ({ ...ONE, runs: [runReport({ steps, status: 'unfinished' })] });
  const options = { live: 'live.json', everyMs: 50 };
  const server = createServer(({ url = '' }, response) => {
    if (!url.includes('live.json'))
      return response.setHeader('Content-Type', 'text/html').end(reportPage(report(), options));
    requests.push(url);
    if (isFinal) response.setHeader('Report-Final', 'yes');
    return response.end(JSON.stringify(livePage(report(), options)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { page, problems } = await watched(
    t,
    `http://127.0.0.1:${(server.address() as AddressInfo).port}/report/?token=x`,
    {},
  );
  await page.emulateMedia({ reducedMotion: 'reduce' }); // no smooth scrolling
  await until(page, `document.getElementById('live').textContent === 'Live'`);
  await page.focus('#chart-loss');
  await page.keyboard.press('+');
  await page.click('#data-loss summary');
  await page.focus('#figure-loss [data-zoom="out"]');
  const state = `[document.getElementById('chart-loss').dataset.range, document.getElementById('data-loss').open, document.activeElement.dataset.zoom, scrollY]`;
  const before = await page.evaluate(state);
  steps = 12_345;
  await until(page, `document.querySelector('.card b').textContent === '12,345'`);
  assert.deepEqual(await page.evaluate(state), before);
  assert.deepEqual((before as unknown[]).slice(0, 3), ['25.00 75.00', true, 'out']);
  assert.equal(Object.keys(await marksOf(page)).length, 12);
  isFinal = true;
  await until(page, `document.getElementById('live').textContent === 'The run has ended.'`);
  assert.equal(requests[0], '/report/live.json?token=x');
  assert.deepEqual(problems, []);
});

/** The page as text: its policy, its size, and what is in it without a script. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import type { Timeline } from '../../src/report/figure.js';
import { livePage, reportPage } from '../../src/report/html.js';
import { markdownLines } from '../../src/report/markdown.js';
import { EMPTY, HOSTILE_REPORT, LARGE, MANY, ONE, PAIR, runReport, trace } from './reports.js';

const MAX_BYTES = 2_000_000;

test('reportPage() has all sections, in order, and is smaller than 2 MB', () => {
  const ids = (page: string) => [...page.matchAll(/<section id="([^"]+)"/g)].map((match) => match[1]);
  const page = reportPage(ONE);
  assert.deepEqual(ids(page), [
    ...['summary', 'training', 'speed', 'step-time', 'timeline', 'exchange', 'memory', 'kernels', 'activations'],
    ...['warnings', 'checkpoints', 'config', 'log'],
  ]);
  assert.ok(ids(reportPage(PAIR)).includes('differences'));
  assert.deepEqual(ids(reportPage(MANY)), ['summary', 'curves', 'runs', 'config']);
  for (const report of [ONE, PAIR, MANY, EMPTY, LARGE]) {
    const size = Buffer.byteLength(reportPage(report));
    assert.ok(size < MAX_BYTES, `${size} bytes`);
  }
});

test('reportPage() allows its own script alone, and a live page its own server', () => {
  for (const [page, connect] of [
    [reportPage(ONE), ''],
    [reportPage(ONE, { live: 'live.json' }), "; connect-src 'self'"],
  ] as const) {
    const script = /<script>([\s\S]*?)<\/script>/.exec(page)![1]!;
    const hash = createHash('sha256').update(script).digest('base64');
    const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)![1]!.replaceAll('&#39;', "'");
    assert.equal(
      policy,
      `default-src 'none'; script-src 'sha256-${hash}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'${connect}`,
    );
  }
});

test('reportPage() has the licence texts of the libraries in it, and nothing that opens a comment of HTML', () => {
  const page = reportPage(ONE);
  for (const text of [/echarts 6\.\d/, /Apache License\s+Version 2\.0/, /zrender 6\.\d/, /tslib 2\.\d/, /BSD 3-Clause/])
    assert.match(page, text);
  assert.ok(!page.includes('<!--'));
});

test('reportPage() says in one sentence what the log lacks', () => {
  const { main } = livePage(EMPTY);
  for (const sentence of ['there are no curves', 'No step was traced', 'no measurement of memory', 'has no warning'])
    assert.ok(main.includes(sentence), sentence);
  assert.deepEqual(livePage(EMPTY).figures, []);
  const { loss } = runReport();
  const none = loss.mean.map(() => null);
  const nan = runReport({ loss: { ...loss, mean: none, low: none, high: none }, evals: [] });
  assert.ok(livePage({ version: '1', runs: [nan] }).main.includes('Loss: no value in the log is a finite number.'));
});

test('reportPage() of many runs says at the top which ones are not done', () => {
  assert.ok(!livePage(MANY).main.includes('not done'));
  const runs = MANY.runs.map((run, i) => (i === 1 ? { ...run, status: 'failed' as const } : run));
  const { main } = livePage({ ...MANY, runs });
  const said = `1 of ${runs.length} runs is not done:</strong> ${runs[1]!.run} (failed)`;
  assert.ok(main.includes(said) && main.indexOf(said) < main.indexOf('<nav'), main.slice(0, 600));
});

test('reportPage() of two runs has no ratio above a sentence that calls them equally fast', () => {
  const { comparison } = PAIR;
  assert.match(livePage(PAIR).main, /class="ratio-value"/);
  const equal = { ...comparison!, ratio: 1.01, sentence: 'a and b are equally fast' };
  assert.ok(!livePage({ ...PAIR, comparison: equal }).main.includes('class="ratio-value"'));
});

test('reportPage() names the layers of a traced step that ran op by op, in the thread', () => {
  const whole = trace(20);
  const towers = whole.towers.map((tower) => {
    const spans = tower.spans
      .filter(({ part }) => part !== 'pass')
      .map((each) => ({ ...each, lane: 'thread' as const }));
    return { ...tower, spans };
  });
  const { main, figures } = livePage({
    version: '1',
    runs: [runReport({ traces: [{ ...whole, source: 'host', towers }] })],
  });
  const table = (page: string) => /Computing by layer in step 20[\s\S]*?<\/table>/.exec(page)![0];
  assert.equal(table(main), table(livePage({ version: '1', runs: [runReport({ traces: [whole] })] }).main));
  assert.ok(main.includes('its thread computes layer by layer'));
  const timeline = figures.find(({ kind }) => kind === 'timeline') as Timeline;
  assert.deepEqual(timeline.steps[0]!.lanes, ['Tower 0 thread', 'Tower 1 thread']);
  assert.deepEqual([...new Set(timeline.steps[0]!.spans.map(({ lane }) => lane))].sort(), [0, 1]);
  assert.ok(main.includes('profiler was not used'));
});

test('a report of several pairs names a tower by its pair', () => {
  const run = runReport({ traces: [trace(20)] });
  const four = <T extends { tower: number }>(towers: readonly T[]) =>
    [0, 1, 2, 3].map((tower) => ({ ...towers[tower % 2]!, tower }));
  const start = { ...run.start!, towers: four(run.start!.towers) };
  const time = { ...run.time!, towers: four(run.time!.towers) };
  const memory = run.memory.map((each) => ({ ...each, towers: [...each.towers, ...each.towers] }));
  const traces = run.traces.map((each) => ({ ...each, towers: four(each.towers) }));
  const report = { version: '1', runs: [{ ...run, start, time, memory, traces }] };
  for (const text of [reportPage(report), markdownLines(report).join('\n')]) {
    assert.match(text, /tower 1 of pair 1 on /);
    assert.doesNotMatch(text, /tower [23]\b/i);
  }
});

test('reportPage() escapes every text of a log', () => {
  const page = reportPage(HOSTILE_REPORT);
  const elements = [...page.matchAll(/<(script|style|img)\b[^>]*>/g)].map((match) => match[0]);
  assert.deepEqual(elements, ['<style>', '<script type="application/json" id="figures">', '<script>']);
  assert.ok(!page.includes('\u202e'));
  assert.ok(page.includes('&lt;/script&gt;'));
});

test('reportPage() links to checkpoints that exist, relative to its folder', () => {
  const links = (options?: Parameters<typeof reportPage>[1], runs = [runReport()]) =>
    [...livePage({ version: '1', runs }, options).main.matchAll(/href="(\.[^"]*)"/g)].map((match) => match[1]);
  assert.deepEqual(links(), ['./checkpoints/0000000628/', './checkpoints/0000000942/']);
  assert.equal(links({ folder: 'runs' })[0], './split-mini/checkpoints/0000000628/');
  assert.equal(links({ folder: 'elsewhere/x' })[0], './../../runs/split-mini/checkpoints/0000000628/');
  const odd = runReport({ folder: 'runs/a "b" #1' });
  assert.equal(links({ folder: 'runs' }, [odd])[0], './a%20%22b%22%20%231/checkpoints/0000000628/');
  assert.deepEqual(links({ live: 'live.json' }), []);
});

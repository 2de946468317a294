import assert from 'node:assert/strict';
import test from 'node:test';
import type { EventOf, LogEvent } from '../../src/log.js';
import { analyseLog } from '../../src/report/analyse.js';
import { makeReport } from '../../src/report/report.js';
import { RUN_START, trainStep } from '../events.js';
import { logFiles, recorded } from './logs.js';

const fileOf = logFiles();

/** A run whose second step counts. */
function runOf(run: string, step: Partial<EventOf<'train_step'>>, start: Partial<EventOf<'run_start'>> = {}) {
  const events: LogEvent[] = [{ ...RUN_START, run, ...start }, trainStep(1), trainStep(2, step)];
  return analyseLog(fileOf(events));
}

async function compared(...runs: Promise<Awaited<ReturnType<typeof runOf>>>[]) {
  return makeReport(await Promise.all(runs)).comparison;
}

test('two runs: the ratio, the parts that take longer, and what limits the slower one', async () => {
  const slow = runOf('split', { step_ms: 26, compute_ms: 12, exchange_ms: 7, images_per_s: 4000 / 26 });
  const comparison = await compared(slow, runOf('single', {}));
  assert.ok(comparison);
  const { faster, slower, ratio, comparable, sentence } = comparison;
  assert.deepEqual([faster, slower, ratio.toFixed(6), comparable], ['single', 'split', '1.300000', true]);
  assert.equal(
    sentence,
    'split takes 1.30 times as long for an image as single: a step takes 26.0 ms instead of 20.0 ms (more: exchange 4.00 ms and computing 2.00 ms). Each tower exchanges and waits for at least 7.00 ms of a 26.0 ms step: the exchange limits the step.',
  );
});

test('two runs: the parts that take less time in the slower one are named too', async () => {
  const slow = runOf('single', { step_ms: 26, compute_ms: 18, exchange_ms: 1, images_per_s: 4000 / 26 });
  const comparison = await compared(slow, runOf('split', {}));
  assert.match(comparison!.sentence, / \(more: computing 8\.00 ms; less: exchange 2\.00 ms\)\. /);
});

test('two runs that are equally fast', async () => {
  const comparison = await compared(runOf('a', {}), runOf('b', { step_ms: 20.2 }));
  assert.equal(comparison?.slower, 'b');
  assert.match(comparison.sentence, /^a and b are equally fast: 200 and 198 images\/s\. /);
});

test('two runs that are not comparable: in what they differ', async () => {
  const config = { ...RUN_START.config, batchSize: 8 };
  const versions = { ...RUN_START.versions, tensorflow: '2.20.0' };
  const towers = RUN_START.towers.map((each, i) => ({ ...each, device: `GPU:${i}` }));
  const cases: [Partial<EventOf<'run_start'>>, RegExp][] = [
    [
      { config },
      /^The speeds of a and b are not comparable: a has batches of 4 images, and b has batches of 8 images\.$/,
    ],
    [{ config: { ...RUN_START.config, net: { table: 'paper' } } }, /: their nets differ\.$/],
    [{ versions }, /: a has TensorFlow 2\.21\.0, and b has TensorFlow 2\.20\.0\.$/],
    [{ towers }, /: a has devices of the kind CPU, and b has devices of the kind GPU\.$/],
    [{ towers, config }, /batches of 8 images; a has devices of the kind CPU/],
  ];
  for (const [start, sentence] of cases) {
    const comparison = await compared(runOf('a', {}), runOf('b', {}, start));
    assert.equal(comparison?.comparable, false);
    assert.match(comparison.sentence, sentence);
  }
  const placement = await compared(runOf('a', {}), runOf('b', {}, { placement: 'single', towers: towers.slice(2) }));
  assert.equal(placement?.comparable, false, 'no device is no kind');
});

test('a run without a step that counts is not compared, and runs of one name are told apart by their folders', async () => {
  assert.equal(
    await compared(runOf('a', {}), analyseLog(fileOf([{ ...RUN_START, run: 'b' }, trainStep(1)]))),
    undefined,
  );
  const [first, second] = await Promise.all([runOf('a', {}), runOf('a', { step_ms: 30 })]);
  const comparison = makeReport([
    { ...first, folder: 'x/a' },
    { ...second, folder: 'y/a' },
  ]).comparison;
  assert.deepEqual([comparison?.faster, comparison?.slower], ['x/a', 'y/a']);
  const headless = await analyseLog(fileOf([trainStep(1), trainStep(2), trainStep(3)]));
  assert.match(makeReport([headless, { ...first, run: 'b' }]).comparison!.sentence, /has no run_start\.$/);
});

test('split against single of one machine is comparable', async () => {
  const comparison = await compared(analyseLog(recorded('split')), analyseLog(recorded('single')));
  assert.ok(comparison?.comparable);
  assert.deepEqual([comparison.faster, comparison.slower].sort(), ['single', 'split']);
  assert.match(
    comparison.sentence,
    /^(split|single) (takes \d\.\d\d times as long for an image as|and) (split|single)/,
  );
});

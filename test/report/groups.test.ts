import assert from 'node:assert/strict';
import test from 'node:test';
import type { LogEvent } from '../../src/log.js';
import { analyseLog } from '../../src/report/analyse.js';
import { groupRuns } from '../../src/report/groups.js';
import { studentInterval, studentQuantile, wilsonInterval } from '../../src/report/intervals.js';
import type { RunReport } from '../../src/report/model.js';
import { makeReport } from '../../src/report/report.js';
import { EVAL, RUN_START, trainStep } from '../events.js';
import { logFiles } from './logs.js';

const fileOf = logFiles();

/** A run with evaluations of these accuracies, after steps 10, 20, …. */
function runOf(run: string, seed: number, accuracies: readonly number[], net = 'original'): Promise<RunReport> {
  const evals = accuracies.flatMap((top1, i): LogEvent[] => [
    trainStep(10 * (i + 1)),
    { ...EVAL, step: 10 * (i + 1), top1, loss: 1 - top1 },
  ]);
  const config = {
    ...RUN_START.config,
    net: { table: net },
    seed,
    run,
    out: `out-${run}`,
    logEvery: seed,
    metricsPort: 9000 + seed,
  };
  return analyseLog(fileOf([{ ...RUN_START, run, config }, trainStep(1), ...evals]));
}

const close = (found: number | null, expected: number, most: number) =>
  assert.ok(found !== null && Math.abs(found - expected) <= most, `${found}, expected ${expected}`);

test('studentQuantile() is that of the tables, for every number of degrees', () => {
  const tabled = {
    1: 12.7062,
    2: 4.3027,
    4: 2.7764,
    9: 2.2622,
    10: 2.2281,
    11: 2.201,
    20: 2.086,
    30: 2.0423,
    120: 1.9799,
  };
  for (const [degrees, expected] of Object.entries(tabled)) close(studentQuantile(Number(degrees)), expected, 2e-4);
});

test('studentInterval() and wilsonInterval() of known examples', () => {
  const { mean, low, high } = studentInterval([1, 2, 3, 4]);
  close(mean, 2.5, 1e-12);
  close(low, 2.5 - 3.18245 * Math.sqrt(5 / 3 / 4), 1e-9);
  close(high - mean, mean - low, 1e-12);
  const wilson = wilsonInterval(0.8, 100);
  close(wilson.low, 0.7112, 1e-4);
  close(wilson.high, 0.8666, 1e-4);
  assert.deepEqual(wilsonInterval(0, 10).low, 0);
  close(wilsonInterval(0, 10).high, 0.2775, 1e-4);
  close(wilsonInterval(1, 10).low, 0.7225, 1e-4);
});

test('groupRuns() puts runs of different seeds together, with a t interval', async () => {
  const runs = await Promise.all([
    runOf('wide-seed-1', 1, [0.5, 0.8]),
    runOf('narrow', 1, [0.4], 'paper'),
    runOf('wide-seed-2', 2, [0.6, 0.84]),
    runOf('wide-seed-3', 3, [0.55, 0.82, 0.82]),
  ]);
  const [wide, narrow, ...others] = groupRuns(runs);
  assert.ok(wide && narrow);
  assert.equal(others.length, 0);
  assert.deepEqual([wide.name, wide.runs], ['wide', ['wide-seed-1', 'wide-seed-2', 'wide-seed-3']]);
  const expected = studentInterval([0.8, 0.84, 0.82]);
  assert.deepEqual(
    [wide.interval, wide.top1, wide.low, wide.high],
    ['seeds', expected.mean, expected.low, expected.high],
  );
  close(wide.testLoss, 0.18, 1e-12);
  assert.deepEqual(wide.curve.step, [10, 20], 'the evaluations that all runs have');
  assert.deepEqual(wide.curve.low[0], studentInterval([0.5, 0.6, 0.55]).low);
  assert.deepEqual([narrow.name, narrow.interval], ['narrow', 'images']);
  assert.deepEqual([narrow.low, narrow.high], [wilsonInterval(0.4, 1000).low, wilsonInterval(0.4, 1000).high]);
  assert.equal(narrow.imagesPerSecond, 200);
});

test('groupRuns() of runs without evaluations, without settings, and with names that have nothing in common', async () => {
  const bare = await analyseLog(fileOf([trainStep(1)]));
  const groups = groupRuns([await runOf('x', 1, []), await runOf('y', 2, []), bare, bare]);
  assert.deepEqual(
    groups.map(({ name }) => name),
    ['x and 1 more', bare.folder, bare.folder],
  );
  assert.deepEqual(
    groups.map(({ interval, top1, low }) => [interval, top1, low]),
    Array(3).fill(['none', null, null]),
  );
  assert.deepEqual(groups[0]!.curve.step, []);
  const failed = groupRuns([await runOf('z', 1, [Number.NaN])]);
  assert.deepEqual([failed[0]!.interval, failed[0]!.top1, failed[0]!.low], ['none', null, null]);
});

test('makeReport() groups three runs or an ablation, and compares two', async () => {
  const [a, b, c] = await Promise.all([runOf('a', 1, [0.5]), runOf('b', 2, [0.6]), runOf('c', 1, [0.7], 'paper')]);
  const three = makeReport([a, b, c]);
  assert.deepEqual([three.comparison, three.groups?.length], [undefined, 2]);
  const two = makeReport([a, b]);
  assert.deepEqual([two.comparison?.ratio, two.groups], [1, undefined]);
  const variants = new Map([
    [a, { variant: 'baseline', change: 'nothing' }],
    [c, { variant: 'no-norm', change: 'no response normalization' }],
  ]);
  const ablation = makeReport([a, c], variants);
  assert.equal(ablation.comparison, undefined);
  assert.deepEqual(
    ablation.groups?.map(({ name, change, runs }) => [name, change, runs.join()]),
    [
      ['baseline', 'nothing', 'a'],
      ['no-norm', 'no response normalization', 'c'],
    ],
  );
  assert.equal(makeReport([a]).groups, undefined);
});

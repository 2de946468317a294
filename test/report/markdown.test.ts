import assert from 'node:assert/strict';
import test from 'node:test';
import type { LogEvent } from '../../src/log.js';
import { analyseLog } from '../../src/report/analyse.js';
import { escaped, markdownLines } from '../../src/report/markdown.js';
import { makeReport } from '../../src/report/report.js';
import { ALL_EVENTS, EVAL, RUN_END, RUN_START, trainStep, WARNING } from '../events.js';
import { logFiles, recorded } from './logs.js';

const fileOf = logFiles();

async function markdownOf(...logs: (string | readonly LogEvent[])[]): Promise<string> {
  const files = logs.map((log) => (typeof log === 'string' ? log : fileOf(log)));
  const runs = [];
  for (const file of files) runs.push(await analyseLog(file));
  return markdownLines(makeReport(runs)).join('\n');
}

/** The cells of the rows of each table, the header's first. */
function tablesOf(text: string): string[][][] {
  return [...text.matchAll(/(^\|.*\n)+/gm)].map(([table]) =>
    table
      .trim()
      .split('\n')
      .filter((row) => !row.startsWith('| ---'))
      .map((row) => row.replace(/^\| | \|$/g, '').split(/ (?<!\\)\| /)),
  );
}

test('markdownLines() of a run has its facts, the limit of a step, and its tables', async () => {
  const text = await markdownOf([
    ...ALL_EVENTS.slice(0, -1),
    trainStep(4),
    trainStep(5, { step_ms: 30, compute_ms: 20 }),
    RUN_END,
  ]);
  assert.match(
    text,
    /^# Run r\n\n- done: 3 steps, 12 images.*\n- test accuracy 82\.0 %, 1,000 test images, at step 3\n/,
  );
  assert.match(text, /\n- preset mini, net original, 30 parameters, batches of 4 images\n/);
  assert.match(text, /\n- split: tower 0 on CPU:0, tower 1 on CPU:1; TensorFlow 2\.21\.0, Node\.js 20\.20\.0\n/);
  assert.match(text, /\n- split and reference agree\n/);
  assert.match(text, /the exchange limits the step|computing limits the step/);
  assert.match(text, /2 steps, mean 25\.0 ms/);
  const titles = [...text.matchAll(/^### (.*)$/gm)].map(([, title]) => title);
  assert.deepEqual(titles, [
    ...[
      'Time of a step',
      'Traced step',
      'Training',
      'Evaluations',
      'Bytes exchanged in a step',
      'Bytes over the network in a step',
      'Memory',
      'Activations',
      'Warnings',
    ],
  ]);
  const tables = tablesOf(text);
  assert.deepEqual(tables[0]![1]!.slice(0, 4), ['0', 'CPU:0', '10.0 ms', '40.0 %']);
  assert.equal(tables[1]![0]!.join(' '), 'tower data forward backward exchange wait update other hidden exchange');
  assert.deepEqual(tables[1]![1]!.slice(0, 4), ['0', '1.00 ms', '5.00 ms', '8.00 ms']);
  assert.deepEqual(tables[2]!.at(-1), ['5', '2.3000', '25.0 %', '0.02']);
  assert.deepEqual(tables[3]![1], ['3', '1', '0.5000', '82.0 %', '99.0 %', '1,000']);
  assert.deepEqual(tables[4]![1], ['conv3', '200', '100']);
  assert.match(text, /- mind the gap\n- step 3: most units are dead\n/);
});

test('markdownLines() of an empty log, of a failed run, and of lines that are no events', async () => {
  assert.match(await markdownOf([]), /- empty: 0 steps, 0 images\n- log in .*: 0 lines\n/);
  const failed = await markdownOf([RUN_START, trainStep(1), { ...RUN_END, status: 'failed', error: 'a | b' }]);
  assert.match(failed, /- failed: 3 steps, 12 images, .*: a \\\| b\n/);
  const newer = { ...RUN_START, versions: { ...RUN_START.versions, alexnet_split: '99.0.0' } };
  const junk = await markdownOf(fileOf('junk\n'), [newer]);
  assert.match(junk, /1 lines, 1 that are no events \(first: line 1\)/);
  assert.match(junk, /written by the newer version 99\.0\.0/);
});

test('markdownLines() of two runs, of a resumed one, and of many', async () => {
  const two = await markdownOf(recorded('split'), recorded('single'));
  assert.match(two, /^# 2 runs\n\n(split|single) (takes|and) /);
  assert.deepEqual(
    tablesOf(two)[0]!.map(([name]) => name),
    ['run', 'split', 'single'],
  );
  const many = await markdownOf(recorded('split'), recorded('single'), recorded('resumed'));
  const [groups, runs] = tablesOf(many);
  assert.deepEqual(
    groups!.map(([name]) => name),
    ['group', 'split', 'single', 'killed'],
  );
  assert.match(groups![1]!.join(), /\d % to \d\d\.\d % \(test images\)/);
  assert.equal(runs!.length, 4);
  assert.match(many, /steps that a later line replaced/);
});

test('settings that are not of their type are shown all the same', async () => {
  const config = { batchSize: { toString: 1 }, net: { table: { toString: 1 } } };
  const text = await markdownOf([{ ...RUN_START, config }, trainStep(1), trainStep(2)], recorded('split'));
  assert.match(text, /net \{"toString":1\}, 30 parameters, batches of \{"toString":1\} images/);
  assert.match(text, /not comparable: .* has batches of \{"toString":1\} images, and split has batches of 64 images; /);
  assert.match(
    await markdownOf([{ ...RUN_START, config: { net: null } }]),
    /net undefined, .* batches of undefined images/,
  );
});

test('markdownLines() escapes texts from elsewhere, and its lists are bounded', async () => {
  const name = '<img src=x>|`a` **b** [c](d)\n# e \u001b[31m';
  const many = Array.from({ length: 50 }, (_, i): LogEvent => ({ ...EVAL, step: i + 1 }));
  const warnings = Array.from({ length: 50 }, (): LogEvent => ({ ...WARNING, message: name }));
  const start = { ...RUN_START, run: name, preset: name, dataset: { ...RUN_START.dataset, name } };
  const text = await markdownOf([start, trainStep(1), ...many, ...warnings]);
  assert.doesNotMatch(text, /<img|(?<!\\)`a|(?<!\\)\*\*b|(?<!\\)\[c|^# e/m);
  assert.ok(!text.includes('\u001b'));
  assert.match(text, /^# Run &lt;img/);
  assert.equal(tablesOf(text)[1]!.length, 21);
  assert.match(text, /- and 30 more\n/);
  assert.equal(escaped('a|b'), 'a\\|b');
});

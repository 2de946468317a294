/** The Chrome trace file, checked by its own rules and by the engine of Chrome's developer tools. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chromeTrace } from '../../../src/train/trace/chrome.js';
import type { NotedSpan, Op } from '../../../src/train/trace/spans.js';
import { trainStep } from '../../events.js';
import { lanesIn, readByDevTools } from './read.js';

const STEP = { ...trainStep(7), step_ms: 20, data_ms: 1 };

function op(line: string, layer: string, start: number, end: number): Op {
  const name = `tower0/${layer}/forward/Conv2D_1:Conv2D`;
  return { name, part: 'forward', layer, lane: 'function', type: 'Conv2D', line, isHandover: false, start, end };
}

function message(action: 'send' | 'receive', sender: 0 | 1, start: number, end: number): NotedSpan {
  const sent = { id: `conv3 forward ${sender}`, action, bytes: 1000 };
  return { name: `${action} conv3`, part: 'exchange', layer: 'conv3', lane: 'thread', start, end, message: sent };
}

const THREADS: NotedSpan[][] = [
  [
    { name: 'pass', part: 'pass', lane: 'function', start: 2, end: 18 },
    message('send', 0, 5, 6),
    { name: 'wait to receive conv3', part: 'wait', layer: 'conv3', lane: 'thread', start: 6, end: 9 },
    message('receive', 1, 9, 10),
  ],
  [message('send', 1, 8, 9), message('receive', 0, 9, 9.5)],
];
const OPS = [
  [op('tf_Compute 4', 'conv1', 3, 5), op('tf_Compute 5', 'conv1', 4, 5), op('tf_Compute 4', 'conv3', 10, 12)],
  [],
];

test('chromeTrace() has a process for each tower, and lanes with names', () => {
  const lanes = lanesIn(chromeTrace(STEP, THREADS, OPS));
  assert.deepEqual(
    lanes.map(({ process, lane, spans }) => [process, lane, spans.map(({ name }) => name)]),
    [
      ['step', 'steps', ['step 7', 'wait for the batch']],
      ['tower 0', 'thread of tower 0', ['send conv3', 'wait to receive conv3', 'receive conv3']],
      ['tower 0', 'function', ['pass']],
      ['tower 0', 'tf_Compute 4', ['conv1 Conv2D', 'conv3 Conv2D']],
      ['tower 0', 'tf_Compute 5', ['conv1 Conv2D']],
      ['tower 1', 'thread of tower 1', ['send conv3', 'receive conv3']],
      ['tower 1', 'function', []],
    ],
  );
  const { spans } = lanes[3]!;
  assert.deepEqual([spans[0]!.ts, spans[0]!.dur], [3000, 2000], 'microseconds');
  assert.deepEqual(spans[0]!.args, { layer: 'conv1', op: 'Conv2D', node: OPS[0]![0]!.name });
});

test('chromeTrace() has an arrow from where each message is sent to where it arrives, and counts the bytes', () => {
  const { traceEvents } = chromeTrace(STEP, THREADS, OPS);
  const arrows = traceEvents.filter(({ ph }) => ph === 's' || ph === 'f');
  assert.deepEqual(
    arrows.map(({ ph, pid, tid, ts, id }) => [ph, pid, tid, ts, id]),
    [
      ['s', 1, 1, 5000, 1],
      ['s', 2, 1, 8000, 2],
      ['f', 1, 1, 9000, 2],
      ['f', 2, 1, 9000, 1],
    ],
  );
  const counted = traceEvents.filter(({ ph }) => ph === 'C').map(({ pid, args }) => [pid, args!.bytes]);
  assert.deepEqual(counted, [
    [1, 1000],
    [2, 1000],
  ]);
});

const devTools = await readByDevTools();

test("the engine of Chrome's developer tools reads every span and every arrow", {
  skip: 'skip' in devTools && devTools.skip,
}, async () => {
  assert.ok('tool' in devTools);
  const read = await devTools.tool(JSON.stringify(chromeTrace(STEP, THREADS, OPS)));
  assert.deepEqual(read.lanes, {
    '0 steps': 2,
    '1 thread of tower 0': 3,
    '1 function': 1,
    '1 tf_Compute 4': 2,
    '1 tf_Compute 5': 1,
    '2 thread of tower 1': 2,
  });
  assert.equal(read.arrows, 2);
});

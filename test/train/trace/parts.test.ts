/** How the time of a traced step is divided. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hiddenExchange, partsOf } from '../../../src/train/trace/parts.js';
import type { Span, TracePart } from '../../../src/train/trace/spans.js';

function span(part: TracePart, start: number, end: number, lane: Span['lane'] = 'thread'): Span {
  return { name: part, part, lane, start, end };
}

const op = (part: TracePart, start: number, end: number) => span(part, start, end, 'function');

const NOTHING = { data: 0, forward: 0, backward: 0, pass: 0, exchange: 0, wait: 0, update: 0, other: 0 };
const sum = (parts: Record<string, number>) => Object.values(parts).reduce((total, each) => total + each, 0);

test('partsOf() gives each moment to one part: computing before the exchange, the exchange before a wait', () => {
  const spans = [
    span('data', 0, 10),
    op('forward', 12, 30),
    span('exchange', 25, 35), // 5 of it while the forward pass still runs
    span('wait', 33, 50), // 2 of it while tensors cross
    op('backward', 48, 60),
    span('update', 60, 70),
    op('update', 62, 66),
    span('pass', 11, 60), // the whole function: what the ops leave is no part of its own
  ];
  const parts = partsOf(spans, 100, true);
  assert.deepEqual(parts, {
    ...NOTHING,
    ...{ data: 10, forward: 18, exchange: 5, wait: 13, backward: 12, update: 10, other: 32 },
  });
  assert.equal(sum(parts), 100);
});

test('partsOf() counts parallel ops once, and nothing outside of the step', () => {
  const spans = [op('forward', -5, 20), op('forward', 10, 30), op('backward', 90, 130), span('wait', 100, 140)];
  assert.deepEqual(partsOf(spans, 100, true), { ...NOTHING, forward: 30, backward: 10, other: 60 });
});

test('partsOf() gives a pass whose ops are not known what the exchange leaves', () => {
  const spans = [op('pass', 10, 80), span('exchange', 30, 40), span('wait', 40, 60), span('update', 80, 90)];
  const expected = { ...NOTHING, pass: 40, exchange: 10, wait: 20, update: 10, other: 20 };
  assert.deepEqual(partsOf(spans, 100, false), expected);
});

test('partsOf() of a step without spans is the rest', () => {
  assert.deepEqual(partsOf([], 7, true), { ...NOTHING, other: 7 });
});

test('partsOf() always sums to the step', () => {
  let state = 1;
  const random = () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  const kinds: TracePart[] = ['data', 'forward', 'backward', 'pass', 'exchange', 'wait', 'update', 'other'];
  for (let round = 0; round < 50; round++) {
    const spans = Array.from({ length: 40 }, () => {
      const start = random() * 120 - 10;
      const lane = random() < 0.5 ? 'function' : 'thread';
      return span(kinds[Math.floor(random() * kinds.length)]!, start, start + random() * 20, lane);
    });
    const length = 50 + random() * 50;
    assert.ok(Math.abs(sum(partsOf(spans, length, random() < 0.5)) - length) < 1e-9);
  }
});

test('hiddenExchange() is the exchange during which an op runs, once', () => {
  const spans = [
    span('exchange', 10, 20),
    span('exchange', 15, 30), // overlaps: counts once
    span('exchange', 16, 18), // within it
    op('update', 25, 26),
    op('forward', 5, 12),
    op('backward', 11, 18),
    op('exchange', 40, 50),
    span('forward', 40, 50), // an op in the thread itself hides nothing
    op('update', 49, 60),
  ];
  assert.equal(hiddenExchange(spans), 8 + 1 + 1);
  assert.equal(hiddenExchange([span('exchange', 0, 10)]), 0);
});

/** What a tower did, from the records of the profiler. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventsOf } from '../../../src/native/c/xspace.js';
import { joinSpans, notedSpans, opsOf, type Span } from '../../../src/train/trace/spans.js';
import { deviceXSpace, hostXSpace, joinXSpaces } from '../../xspace.js';

const ORIGIN = 1_700_000_000_000;
const near = (value: number, expected: number) => assert.ok(Math.abs(value - expected) < 1e-3, `${value}`);

test('opsOf() takes the ops with a scope, by tower, and cuts them at the ends of the step', () => {
  const line = 'tf_Compute';
  const events = eventsOf(
    hostXSpace(ORIGIN - 1, [
      { line, name: 'tower0/conv1/forward/Conv2D_1:_MklNativeConv2D', startMs: 3, ms: 3 },
      { line, name: 'tower0/conv1/forward/Relu_2:Relu', startMs: 0, ms: 2 },
      { line, name: 'tower1/fc6/backward/MatMul_9:MatMul', startMs: 9, ms: 5 },
      { line, name: 'tower1/fc6/update/ResourceApply_3:ResourceApply', startMs: 13, ms: 1 },
      { line, name: 'placeholder_4:_Arg', startMs: 1, ms: 1 },
      { line, name: 'ExecutorState::Process', startMs: 0, ms: 9 },
    ]),
    ORIGIN,
  );
  const ops = opsOf(events, [false, false], 10);
  assert.deepEqual(
    ops.map((own) => own.map(({ layer, part, type, isHandover }) => [layer, part, type, isHandover])),
    [
      [
        ['conv1', 'forward', '_MklNativeConv2D', false],
        ['conv1', 'forward', 'Relu', false],
      ],
      [['fc6', 'backward', 'MatMul', false]],
    ],
  );
  near(ops[0]![0]!.start, 2);
  assert.deepEqual([ops[0]![1]!.start], [0], 'it began before the step');
  near(ops[1]![0]!.start, 8);
  near(ops[1]![0]!.end, 10);
  assert.deepEqual(opsOf(events, [false], 10).length, 1, 'another tower is left out');
});

test('opsOf() tells what hands a tensor over from what computes', () => {
  const types = ['QueueEnqueueV2', 'QueueDequeueV2', '_Send', '_Recv', 'ConcatV2'];
  const events = types.map((type, i) => {
    const name = `tower0/conv3/exchange/Op_${i}/_${i}:${type}`;
    return { line: 'tf_Compute', name, startMs: i, ms: 1 };
  });
  const [ops] = opsOf(eventsOf(hostXSpace(ORIGIN, events), ORIGIN), [false], 10);
  assert.deepEqual(
    ops!.map(({ type, isHandover }) => [type, isHandover]),
    types.map((type) => [type, type !== 'ConcatV2']),
  );
});

test('opsOf() takes the kernels of a tower on a GPU for its computing, and its host ops for what starts them', () => {
  const name = 'tower0/conv1/forward/Conv2D_1:Conv2D';
  const space = joinXSpaces(
    hostXSpace(ORIGIN, [
      { line: 'tf_Compute', name, startMs: 1, ms: 0.1 },
      { line: 'tf_Compute', name: 'tower1/conv1/forward/Conv2D_1:Conv2D', startMs: 1, ms: 4 },
    ]),
    deviceXSpace(ORIGIN, [
      { line: 'Stream #20', name: 'sgemm', op: name, as: 'reference', startMs: 2, ms: 3 },
      { line: 'Stream #20', name: 'memset', startMs: 5, ms: 1 },
    ]),
  );
  const [gpu, cpu] = opsOf(eventsOf(space, ORIGIN), [true, false], 10);
  assert.deepEqual(
    gpu!.map(({ line, type, isHandover }) => [line, type, isHandover]),
    [
      ['tf_Compute 0', 'Conv2D', true],
      ['GPU:0 Stream #20 0', 'Conv2D', false],
    ],
  );
  assert.deepEqual(
    cpu!.map(({ isHandover }) => isHandover),
    [false],
  );
});

test('notedSpans() counts from the start of the step, with the wait for the batch', () => {
  const spans = notedSpans(
    [
      { name: 'pass', part: 'pass', start: 105, end: 140 },
      { name: 'send conv3', part: 'exchange', layer: 'conv3', start: 110, end: 112 },
    ],
    4,
    100,
    true,
  );
  assert.deepEqual(spans, [
    { name: 'wait for the batch', part: 'data', lane: 'thread', start: 0, end: 4 },
    { name: 'pass', part: 'pass', lane: 'function', start: 5, end: 40 },
    { name: 'send conv3', part: 'exchange', layer: 'conv3', lane: 'thread', start: 10, end: 12 },
  ]);
});

function op(layer: string, part: Span['part'], start: number, end: number): Span {
  return { name: `${layer} op`, part, layer, lane: 'function', start, end };
}

test('joinSpans() makes one span of the ops of a layer that follow one another', () => {
  const spans = [
    op('conv1', 'forward', 0, 10),
    op('conv1', 'forward', 10.1, 20),
    op('conv1', 'forward', 5, 12), // in parallel
    op('conv2', 'forward', 20, 30),
    op('conv2', 'backward', 30, 40),
    op('conv1', 'forward', 90, 95), // much later
  ];
  assert.deepEqual(joinSpans(spans, 100), [
    { name: 'conv1', part: 'forward', lane: 'function', start: 0, end: 20, layer: 'conv1' },
    { name: 'conv2', part: 'forward', lane: 'function', start: 20, end: 30, layer: 'conv2' },
    { name: 'conv2', part: 'backward', lane: 'function', start: 30, end: 40, layer: 'conv2' },
    { name: 'conv1', part: 'forward', lane: 'function', start: 90, end: 95, layer: 'conv1' },
  ]);
});

test('joinSpans() keeps what is sent apart from what is received, and from the ops of that layer', () => {
  const noted = (name: string, start: number): Span => {
    return { name, part: 'exchange', layer: 'conv3', lane: 'thread', start, end: start + 1 };
  };
  const spans = [
    noted('send conv3', 0),
    noted('receive conv3', 1),
    noted('send conv3', 1.1),
    op('conv3', 'exchange', 1, 2),
  ];
  assert.deepEqual(
    joinSpans(spans, 100).map(({ name, lane }) => `${lane} ${name}`),
    ['thread send conv3', 'thread receive conv3', 'function conv3'],
  );
});

test('joinSpans() keeps the number of spans small', () => {
  const many = Array.from({ length: 5000 }, (_, i) => op(`conv${i % 3}`, 'forward', i, i + 0.2));
  const joined = joinSpans(many, 5000);
  assert.ok(joined.length <= 120, `${joined.length}`);
  assert.ok(joined.length >= 3);
});

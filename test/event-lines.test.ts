/** Each kind of event in one sentence. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { eventLine } from '../src/event-lines.js';
import type { LogEvent } from '../src/log.js';
import { ALL_EVENTS, CHECK, EXCHANGE, RUN_END, RUN_START, trainStep } from './events.js';

test('eventLine() says each kind of event in one sentence', () => {
  assert.deepEqual(
    ALL_EVENTS.map((event) => eventLine(event, 100)),
    [
      'run r: 3 steps of 4 images, 3 per epoch',
      'check over 1 step: split and reference agree, worst relative difference 2.0e-7 (tower0/conv1/kernel), allowed 1.0e-3, 1 s',
      'resume after step 1 from runs/r/checkpoints/0000000001',
      'after step 1 the server 10.0.0.2:2222 was lost: it has ended: nothing listens at its address',
      'the servers are back after 12 s: continuing after step 1 (1 loss so far)',
      'activations after step 0: 1 of 32 units dead  (64 test images)',
      'memory after step 0: 476.8 MiB resident, tower 0 holds 0.0 MiB, tower 1 holds 0.0 MiB',
      'step   1/100  epoch 1  loss 2.3000  top-1 0.250  200 images/s',
      'exchange of step 1: 300 bytes at 1 cross-connection',
      'trace of step 2: 20.0 ms, in traces/step-2.json',
      'mind the gap',
      'most units are dead',
      'eval at step 3: loss 0.5000  top-1 0.8200  top-5 0.9900  (1,000 test images, 2 s)',
      'checkpoint of step 3: 0.0 MiB in runs/r/checkpoints/0000000003',
      'network, a step: coordinator to 10.0.0.2:2222 0.0 MiB (measured 0.0 MiB), 10.0.0.2:2222 to 10.0.0.3:2222 0.0 MiB',
      'done: test accuracy 0.8200 after 3 steps, 200 images/s, 0 s',
    ],
  );
});

test('eventLine() says what is unknown, not a number, failed, or several', () => {
  const cases: [LogEvent, string][] = [
    [trainStep(7, { loss: Number.NaN }), 'step 7  epoch 1  loss NaN  top-1 0.250  200 images/s'],
    [{ ...RUN_START, config: {} }, 'run r: 3 steps, 3 per epoch'],
    [
      { ...CHECK, steps: 2, passed: false, worst_relative: Number.NaN },
      'check over 2 steps: split and reference DIFFER, worst relative difference NaN (tower0/conv1/kernel), allowed 1.0e-3, 1 s',
    ],
    [
      {
        ...EXCHANGE,
        sites: ['conv3', 'fc6', 'gradients'].map((site) => ({ site, direction: 'forward', tower: 0, bytes: 1500 })),
      },
      'exchange of step 1: 4,500 bytes at 2 cross-connections',
    ],
    [
      { ...RUN_END, status: 'failed', top1: undefined, unreadable_images: 1 },
      'failed: after 3 steps, 200 images/s, 0 s, 1 unreadable image skipped',
    ],
  ];
  for (const [event, line] of cases) assert.equal(eventLine(event), line);
});

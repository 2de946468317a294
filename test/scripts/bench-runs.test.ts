import { deepEqual } from 'node:assert/strict';
import { describe, it } from 'node:test';
import { epochsOf } from '../../scripts/bench/runs.js';
import type { LogEvent } from '../../src/log.js';

const trained = (step: number, epoch: number, images: number, loss: number, top1: number) =>
  ({ event: 'train_step', step, epoch, images, loss, top1 }) as LogEvent;
const tested = (step: number, epoch: number, loss: number, top1: number) =>
  ({ event: 'eval', step, epoch, loss, top1 }) as LogEvent;

describe('epochsOf()', () => {
  it('returns means over the images of an epoch, and its last evaluation', () => {
    const events = [
      trained(1, 1, 30, 2, 0.5),
      trained(2, 1, 10, 1, 0.9),
      tested(1, 1, 3, 0.1),
      tested(2, 1, 1.5, 0.7),
      trained(3, 2, 30, 1, 0.75),
    ];
    deepEqual(epochsOf(events), [
      { epoch: 1, trainLoss: 1.75, trainTop1: 0.6, testLoss: 1.5, testTop1: 0.7 },
      { epoch: 2, trainLoss: 1, trainTop1: 0.75 },
    ]);
  });

  it('counts each image of a line of several steps, and repeated steps once', () => {
    const line = { ...trained(3, 1, 20, 2, 0.5), steps: 2 } as LogEvent;
    const expected = [{ epoch: 1, trainLoss: 1.75, trainTop1: 0.5 }];
    deepEqual(epochsOf([trained(1, 1, 20, 1.5, 0.5), trained(2, 1, 9, 7, 0), trained(3, 1, 9, 7, 0), line]), expected);
  });

  it('uses the last event of a repeated step', () => {
    const [epoch] = epochsOf([trained(1, 1, 8, 2, 0), trained(2, 1, 8, 9, 0), trained(2, 1, 8, 1, 1)]);
    deepEqual(epoch, { epoch: 1, trainLoss: 1.5, trainTop1: 0.5 });
  });
});

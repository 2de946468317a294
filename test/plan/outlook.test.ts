import assert from 'node:assert/strict';
import test from 'node:test';
import { resolveConfig } from '../../src/config/config.js';
import { outlookOf, type Rehearsal } from '../../src/plan/outlook.js';
import { FOUND } from './found.js';

function configOf(values: object = {}) {
  const machine = { devices: ['CPU:0', 'CPU:1', 'GPU:0', 'GPU:1'], fashionMnist: false, now: new Date(0) };
  const layers = [{ values: { preset: 'imagenet', data: { source: '/set' } } }, { values }] as const;
  return resolveConfig(layers as never, machine).config;
}

const together = (changes: object) => ({ together: { ...FOUND.together!, ...changes } });

test('outlookOf() adds up the hours, the bytes on the disk, and the memory of GPUs', () => {
  const found = outlookOf(configOf(), { ...FOUND, needsMean: true });
  assert.equal(found.imagesPerS, 1000);
  assert.equal(found.trainHours, 128_000 / 3_600_000);
  assert.equal(found.evaluateHours, (10 * 1280) / 2000 / 3600);
  assert.equal(found.meanHours, 12_800 / 5000 / 3600);
  assert.ok(Math.abs(found.hours - found.trainHours - found.evaluateHours - found.meanHours) < 1e-12);
  assert.equal(found.diskBytes, 3 * 5e8 + 1e6);
  assert.equal(found.deviceBytes.length, 2);
  assert.deepEqual(outlookOf(configOf({ devices: ['CPU:0', 'CPU:1'] }), FOUND).deviceBytes, []);
  assert.equal(outlookOf(configOf({ evalEvery: 50 }), FOUND).evaluateHours, 2 * found.evaluateHours);
});

test('outlookOf() names what limits, and what to change first', () => {
  const waits = { prepare: 1000, ...together({ dataShare: 0.3 }) };
  const slow = (imagesPerS: number, shorterSide = 375) => ({ decode: { imagesPerS, meanBytes: 1e5, shorterSide } });
  const cases: [Partial<Rehearsal>, object, string, RegExp][] = [
    [{}, {}, 'computing', /--replicas 2/],
    [{ ...waits, ...slow(1100) }, {}, 'decoding', /^data prepare \/set --pack --resize 256:/],
    [{ ...waits, ...slow(1100, 256) }, {}, 'decoding', /--pack --resize 256 --raw/],
    [{ ...waits, ...slow(1100) }, { data: { workers: 2 } }, 'decoding', /^--workers auto$/],
    [{ ...waits, read: 1050 }, {}, 'reading', /--pack --resize 256: smaller files/],
    [{ ...waits, ...slow(8000, 256), read: 1050 }, {}, 'reading', /faster disk/],
    [waits, {}, 'cropping', /more cores than 8/],
    [together({ ms: 200 }), {}, 'sharing', /--pack/],
    [{ upload: { bytes: 77e6, ms: 110 } }, {}, 'copying', /bus/],
    [{ upload: { bytes: 77e6, ms: 50 } }, {}, 'computing', /--replicas 2/], // beside the step
    [together({ exchangeShare: 0.5 }), {}, 'exchange', /^--exchange device$/],
    [together({ exchangeShare: 0.5 }), { exchange: { transport: 'device' } }, 'exchange', /--placement single/],
    [together({ waitShare: 0.5 }), {}, 'waiting', /equal speed/],
  ];
  for (const [changes, values, limit, advice] of cases) {
    const found = outlookOf(configOf(values), { ...FOUND, ...changes });
    assert.equal(found.limit, limit, JSON.stringify(changes));
    assert.match(found.advice, advice);
  }
});

test('outlookOf() takes a predicted step, with the images of all replicas, unless images come more slowly', () => {
  const { step: _, together: __, ...without } = FOUND;
  const fast = outlookOf(configOf(), without, { stepMs: 64, images: 256, part: 'exchange' });
  assert.deepEqual([fast.stepMs, fast.imagesPerS, fast.limit, fast.steps], [64, 4000, 'exchange', 500]);
  const slow = outlookOf(configOf(), { ...without, prepare: 1000 }, { stepMs: 64, images: 256, part: 'exchange' });
  assert.deepEqual([slow.stepMs, slow.imagesPerS, slow.limit], [256, 1000, 'cropping']);
  assert.equal(outlookOf(configOf({ steps: 7 }), without, { stepMs: 64, images: 256, part: 'compute' }).steps, 7);
});

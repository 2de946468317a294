import assert from 'node:assert/strict';
import test from 'node:test';
import { PRESETS } from '../../src/config/presets.js';
import type { StepReply } from '../../src/tower/protocol.js';
import { processOf, waysOf } from '../../src/train/network.js';

const [A, B] = ['10.0.0.2:2222/GPU:0', '10.0.0.3:2222/CPU:1'] as const;
/** Each tower sends its half of conv2 to conv3: [8, 8, 32] values of an image, at 67 pixels and a quarter of the width. */
const reply = (images: number, loss?: number) =>
  ({
    images,
    ...(loss !== undefined && { loss }),
    sent: [
      { site: 'conv3', direction: 'forward', bytes: 1 },
      { site: 'gradients', direction: 'backward', bytes: 1 },
    ],
  }) as unknown as StepReply;

/** Bytes by link and content. */
function bytesOf(config: object, devices: readonly string[], replies: readonly StepReply[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { from, to, what, bytes } of waysOf({ ...PRESETS.mini, ...config }, devices, replies, IMAGE)) {
    const key = `${from} ${to} ${what}`;
    sums[key] = (sums[key] ?? 0) + bytes;
  }
  return sums;
}

const IMAGE = 67 * 67 * 3;
const IMAGES = 64 * IMAGE;
const CONV3 = 64 * 3 * 3 * 32 * 4;
const [LEFT, RIGHT] = ['10.0.0.2:2222', '10.0.0.3:2222'];

test('processOf() is the server of a device, or the coordinator', () => {
  assert.deepEqual([A, B, 'CPU:0', 'GPU:0/1'].map(processOf), [LEFT, RIGHT, 'coordinator', 'coordinator']);
});

test('waysOf() has activations on two links by msgpack, in half the bytes by float16, and on one by device', () => {
  const replies = [reply(64), reply(64, 2)];
  const exchanged = (exchange: object) =>
    bytesOf({ exchange: { ...PRESETS.mini.exchange, ...exchange } }, [A, B], replies);
  const common = {
    [`coordinator ${LEFT} images`]: IMAGES,
    [`coordinator ${RIGHT} images`]: IMAGES,
    [`${LEFT} coordinator answers`]: 4,
    [`${RIGHT} coordinator answers`]: 8 + 64 * 10 * 4,
  };
  const through = (bytes: number) => ({
    ...common,
    [`${LEFT} coordinator activations`]: bytes,
    [`${RIGHT} coordinator activations`]: bytes,
    [`coordinator ${LEFT} activations`]: bytes,
    [`coordinator ${RIGHT} activations`]: bytes,
  });
  assert.deepEqual(exchanged({}), through(CONV3));
  assert.deepEqual(exchanged({ dtype: 'float16' }), through(CONV3 / 2));
  assert.deepEqual(exchanged({ transport: 'device' }), {
    ...common,
    [`${LEFT} ${RIGHT} activations`]: CONV3,
    [`${RIGHT} ${LEFT} activations`]: CONV3,
  });
});

test('waysOf() leaves out what stays in a process, and has the gradients of replicas on other machines', () => {
  const local = bytesOf({}, ['CPU:0', B], [reply(64), reply(64, 2)]);
  assert.deepEqual(Object.keys(local).sort(), [
    `${RIGHT} coordinator activations`,
    `${RIGHT} coordinator answers`,
    `coordinator ${RIGHT} activations`,
    `coordinator ${RIGHT} images`,
  ]);
  assert.deepEqual(bytesOf({}, ['CPU:0', 'CPU:1'], [reply(64), reply(64, 2)]), {});
  const nets = bytesOf({ placement: 'single', replicas: 2 }, [A, B], [reply(64, 2), reply(63, 2)]);
  // The whole net has 1,279,082 parameters. Each replica sends those that the other one adds up, and the sums of its own.
  assert.equal(nets[`${LEFT} ${RIGHT} average`], 4 * 1_279_082);
  assert.equal(nets[`${RIGHT} ${LEFT} average`], 4 * 1_279_082);
  const ring = bytesOf({ placement: 'single', replicas: 2, average: 'collective' }, [A, B], [reply(64), reply(64)]);
  assert.equal(ring[`${LEFT} ${RIGHT} average`], 4 * 1_279_082);
  assert.equal(nets[`coordinator ${RIGHT} images`], (IMAGES / 64) * 63);
});

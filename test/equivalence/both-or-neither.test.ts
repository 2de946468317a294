/** If the gradients of one tower are not finite, neither tower updates. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { createSlot, floatLayout, slotViews } from '../../src/data/index.js';
import { NonFiniteError } from '../../src/errors.js';
import { openTeam, type Team } from '../../src/train/team.js';
import { smallConfig, smallNet } from './teams.js';

/** Values of a parameter, with those at the given places. */
function valuesOf(count: number, at: Record<number, number> = {}): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(4 * count);
  for (const [place, value] of Object.entries(at)) new Float32Array(memory)[Number(place)] = value;
  return memory;
}

/**
 * Weights whose loss is a number, tower 0's gradients too, and tower 1's are not: fc5 on tower 0 reads two of tower 1's
 * units with weights that cancel each other and are huge, so their gradients are, and go no further, for fc4 of tower 1
 * has zeros.
 */
async function makeInfinite(team: Team): Promise<void> {
  const [first, second] = team.towers as [Team['towers'][number], Team['towers'][number]];
  await second.ask({ kind: 'put', name: 'tower1/fc4/kernel' }, valuesOf(120 * 42));
  await second.ask({ kind: 'put', name: 'tower1/fc4/bias' }, valuesOf(42));
  const huge = { [42 * 10]: 1e30, [43 * 10]: -1e30 };
  await first.ask({ kind: 'put', name: 'tower0/fc5/kernel' }, valuesOf(84 * 10, huge));
}

/** Every value and velocity of both towers. */
async function snapshots(team: Team): Promise<Buffer[]> {
  return await Promise.all(
    team.towers.map(async (tower) => {
      const list = await tower.ask({ kind: 'list' });
      const shapes = list.filter(({ kind }) => kind === 'parameter').map(({ shape }) => shape);
      const bytes = shapes.reduce((sum, shape) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);
      const memory = new SharedArrayBuffer(2 * bytes);
      await tower.ask({ kind: 'snapshot' }, memory);
      return Buffer.from(Buffer.from(memory));
    }),
  );
}

for (const compile of ['on', 'off'] as const) {
  for (const transport of ['msgpack', 'device'] as const) {
    test(`an infinite gradient in tower 1 alone updates neither tower: --compile ${compile}, ${transport}`, async () => {
      const config = smallConfig({ ...smallNet('lenet'), compile, exchange: { transport } });
      const { inputSize, inputChannels } = config.net;
      const layout = floatLayout(config.batchSize, inputSize, inputChannels);
      const slot = createSlot(layout);
      const views = slotViews(slot, layout);
      views.images.forEach((_, i) => {
        views.images[i] = Math.sin(i);
      });
      views.labels.forEach((_, i) => {
        views.labels[i] = i % 10;
      });
      const team = await openTeam(config, { slots: [slot], layout });
      try {
        const command = { kind: 'step', slot: 0, count: config.batchSize, step: 1, epoch: 1 } as const;
        const rates = { learningRate: 0.1, update: true, keep: false } as const;
        const before = await snapshots(team);
        await team.ask({ ...command, ...rates });
        const after = await snapshots(team);
        assert.ok(!after[0]!.equals(before[0]!) && !after[1]!.equals(before[1]!), 'a step of numbers updates both');
        await makeInfinite(team);
        const expected = await snapshots(team);
        await assert.rejects(
          team.ask({ ...command, ...rates, step: 2 }),
          (error) =>
            error instanceof NonFiniteError &&
            /the gradient of step 2 is too large for a float32, most of all in tower1\/fc4\//.test(error.message),
        );
        for (const [tower, found] of (await snapshots(team)).entries()) {
          assert.ok(found.equals(expected[tower]!), `tower ${tower} has not updated`);
        }
      } finally {
        await team.close();
      }
    });
  }
}

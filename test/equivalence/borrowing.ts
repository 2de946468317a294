/**
 * Teams whose batch slot is filled with what are no numbers as soon as a command is done, for tests. As a program
 * (`--expose-gc`) it opens, fails and closes some, one after the other, and prints `done`.
 */
import '../faults/workers.js';
import assert from 'node:assert/strict';
import { createSlot, floatLayout, slotViews } from '../../src/data/index.js';
import { volume } from '../../src/model/net.js';
import { bytesToAlignment } from '../../src/native/c/copy.js';
import { openTeam } from '../../src/train/team.js';
import { withFault } from '../faults/fault.js';
import { smallConfig, smallNet } from './teams.js';

const STEPS = 3;

/**
 * Trains some steps, and keeps the last.
 * @param shift bytes by which the images miss where TensorFlow takes them: with 0 they are used where they lie.
 * @param isBytes whether the images are grey levels, of three channels.
 * @returns the bytes of what the last step kept and of all parameters, by tower, kind and name.
 */
export async function run(
  values: Record<string, unknown>,
  shift: number,
  isBytes = false,
  table: 'paper' | 'lenet' = 'paper',
): Promise<Map<string, Buffer>> {
  const config = smallConfig({ ...smallNet(table), ...values });
  const { batchSize } = config;
  const { inputSize, inputChannels, classes } = config.net;
  const normalization = { inputChannels, mean: [120, 130, 140], scale: 0.8, noise: false };
  const floats = floatLayout(batchSize, inputSize, inputChannels);
  const layout = isBytes ? { ...floats, normalization } : floats;
  const slot = createSlot(layout, (memory) => (bytesToAlignment(memory) + shift) % 64);
  const { images, labels } = slotViews(slot, layout);
  const team = await openTeam(config, { slots: [slot], layout });
  const found = new Map<string, Buffer>();
  try {
    for (let step = 1; step <= STEPS; step++) {
      for (let i = 0; i < images.length; i++) images[i] = 100 * Math.sin(i * (step + 0.1)) + (isBytes ? 128 : 0);
      labels.forEach((_, i) => {
        labels[i] = (i + step) % classes;
      });
      const keep = step === STEPS;
      const rate = { learningRate: 1e-3, epoch: 1 };
      const replies = await team.ask({ kind: 'step', slot: 0, count: batchSize, step, ...rate, update: true, keep });
      images.fill(isBytes ? 0 : Number.NaN);
      const { loss } = replies.find((each) => each.loss !== undefined)!;
      found.set(`loss ${step}`, Buffer.from(Float64Array.of(loss!).buffer));
    }
    for (const [tower, { ask }] of team.towers.entries()) {
      for (const { kind, name, shape } of await ask({ kind: 'list' })) {
        const memory = new SharedArrayBuffer(4 * volume(shape));
        await ask({ kind: 'fetch', what: kind, name }, memory);
        assert.ok(new Float32Array(memory).every(Number.isFinite), `${kind} ${name} are numbers`);
        found.set(`${tower} ${kind} ${name}`, Buffer.from(new Uint8Array(memory)));
      }
    }
    return found;
  } finally {
    await team.close();
  }
}

/** After each that fails comes another, and the last goes well. */
const FAULTS = [null, 'throw@backward:2', 'exit@backward:2', 'throw@forward:2', 'lost@conv2:2', null];

if (process.argv[1] === new URL(import.meta.url).pathname) {
  for (const fault of FAULTS) {
    const outcome = await withFault(fault, () => run({ exchangeTimeoutMs: 1500 }, 0, false, 'lenet')).then(
      () => null,
      ({ message }: Error) => message,
    );
    assert.equal(outcome === null, fault === null, `${fault}: ${outcome}`);
    (globalThis as unknown as { gc: () => void }).gc();
  }
  process.stdout.write('done\n');
}

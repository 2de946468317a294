import assert from 'node:assert/strict';
import test from 'node:test';
import { resolveConfig } from '../../src/config/config.js';
import { valueAt } from '../../src/config/layers.js';
import { PRESETS } from '../../src/config/presets.js';
import { count } from '../../src/numbers.js';
import { flags, machineWith } from './machines.js';

const MACHINE = machineWith('CPU:0', 'CPU:1');
const resolve = (...layers: Parameters<typeof resolveConfig>[0]) => resolveConfig(layers, MACHINE);

test('overfit turns off whatever is random in every preset, for one batch at a constant rate', () => {
  for (const preset of Object.keys(PRESETS)) {
    const placement =
      preset === 'imagenet-one-gpu' || preset.includes('torchvision') ? 'single' : PRESETS.mini.placement;
    const named = { preset, data: { source: '/images' }, placement };
    const { config, notes } = resolve(flags({ ...named, overfit: true }));
    const { data, net, optimizer, batchSize, steps } = config;
    assert.deepEqual(
      [data.randomCrop, data.flip, data.brightness, data.contrast, data.saturation, data.colourNoise.strength],
      [false, false, 0, 0, 0, 0],
      preset,
    );
    assert.deepEqual([net.dropout, optimizer.weightDecay, optimizer.biasDecay], [false, 0, 0]);
    assert.deepEqual([optimizer.schedule, data.limit, optimizer.ownRates], [{ kind: 'constant' }, batchSize, []]);
    assert.equal(steps, optimizer.momentum === 0 ? 1000 : 200);
    assert.ok(
      notes.some((note) => note.startsWith(`overfit: ${batchSize} images without noise, for ${count(steps!)} steps`)),
    );
    assert.equal('overfit' in resolve(flags(named)).config, false);
  }
});

test('overfit is weaker than the flags beside it, stronger than a file without it, and resumes as it was', () => {
  const file = { file: 'f.json', values: { net: { dropout: true }, data: { flip: true }, batchSize: 16 } };
  const typed = flags({
    overfit: true,
    replicas: 2,
    devices: ['CPU:0', 'CPU:1', 'CPU:0', 'CPU:1'],
    data: { flip: true },
  });
  const { config } = resolve(file, typed);
  assert.deepEqual([config.net.dropout, config.data.flip, config.data.limit], [false, true, 32]);
  const saved = { file: 'state.json', values: JSON.parse(JSON.stringify(config)) };
  const again = resolve(saved, flags({ overfit: true, steps: 300 })).config;
  assert.deepEqual({ ...again, steps: config.steps }, config);
  assert.equal(again.steps, 300);
  const epochs = resolve(flags({ overfit: true, epochs: 3 }));
  assert.deepEqual([epochs.config.steps, epochs.config.epochs], [null, 3]);
  assert.ok(epochs.notes.some((note) => note.includes('for 3 epochs')));
  assert.equal(valueAt(resolve(saved, flags({ overfit: false })).config, ['overfit']), false);
});

/** What `--weights` brings: the net and the preparation of the images, under the settings that were asked. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { withStartingSettings } from '../../src/cli/starting-settings.js';
import { resolveConfig } from '../../src/config/config.js';
import { readConfigFile } from '../../src/config/file.js';
import type { ConfigLayer } from '../../src/config/layers.js';
import { PRESETS } from '../../src/config/presets.js';
import { writeStatistics } from '../../src/data/index.js';
import { flags, machineWith } from '../config/machines.js';
import { sparseFile, torchvisionTensors } from '../weights/sparse-file.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-starting-settings-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));

/** Saves the settings of a run. */
function runOf(name: string, ...layers: ConfigLayer[]) {
  const { config } = resolveConfig(layers, machineWith('CPU:0', 'CPU:1'));
  fs.mkdirSync(join(out, name));
  fs.writeFileSync(join(out, name, 'config.json'), JSON.stringify(config));
  return config;
}

/** Settings of a training that starts from a run's weights. */
function start(values: Record<string, unknown>) {
  const found = withStartingSettings([flags({ out, ...values })]);
  const { config } = resolveConfig(found.layers, machineWith('CPU:0', 'CPU:1'));
  return { ...found, config };
}

const data = { mean: [9, 8, 7], scale: 0.5, brightness: 0.1 };
const base = runOf('base', flags({ net: { width: 0.5, norm: false, classes: 7 }, data, batchSize: 3, seed: 8 }));

test('withStartingSettings() brings the net and the preparation of the images, and nothing else', () => {
  const { config, note } = start({ preset: 'lenet', weights: 'base', newHead: true });
  assert.deepEqual(config.net, { ...base.net, classes: 10 });
  assert.deepEqual([config.data.mean, config.data.scale, config.data.resize], [[9, 8, 7], 0.5, 74]);
  assert.deepEqual([config.data.brightness, config.batchSize, config.seed, config.placement], [0, 256, 1, 'split']);
  assert.equal(note, `net and preparation of the images: those of ${join(out, 'base', 'config.json')}, unless set`);
  const typed = start({ preset: 'lenet', weights: 'base', data: { scale: 2 }, net: { inputSize: 96 } }).config;
  assert.deepEqual([typed.data.scale, typed.data.mean, typed.data.resize], [2, [9, 8, 7], 106]);
  assert.deepEqual(start({ weights: 'no-such' }).note, undefined); // the training refuses it
});

test('withStartingSettings() uses the mean image of the weights, unless another is asked for', () => {
  const { data, net } = runOf('mean', flags({ data: { meanImage: true } }));
  const size = data.resize ** 2 * net.inputChannels;
  const colours = { deviations: [1, 1, 1], directions: [1, 2, 3].map(() => [1, 0, 0]) } as never;
  const mean = new Float32Array(new SharedArrayBuffer(4 * size)).fill(5);
  writeStatistics(join(out, 'mean'), 'statistics.json', { images: 3, resize: data.resize, channels: 3, mean, colours });
  const { config, statistics } = start({ weights: 'mean' });
  assert.deepEqual([config.data.meanImage, statistics(config)?.mean[0], statistics(config)?.images], [true, 5, 3]);
  for (const meanImage of [true, false]) {
    const other = start({ weights: 'mean', data: { meanImage } });
    assert.deepEqual([other.config.data.meanImage, other.statistics(other.config)], [meanImage, undefined]);
  }
  // A run that begins again keeps the one that it has.
  const again = readConfigFile(join(out, 'mean', 'config.json'));
  const kept = withStartingSettings([again], again);
  assert.equal(kept.statistics(config)?.mean[0], 5);
  assert.equal(kept.statistics({ ...config, weights: null }), undefined);
  const lost = { ...again, file: join(out, 'lost', 'config.json') };
  assert.throws(
    () => withStartingSettings([lost], lost).statistics(config),
    /its statistics\.json is missing or damaged/,
  );
  const larger = start({ weights: 'mean', data: { resize: 80 } });
  assert.throws(() => larger.statistics(larger.config), /there is no mean image of 80 pixels, .* --mean-image, or/);
});

test('withStartingSettings() puts a net of one column on one device', () => {
  runOf('one', flags({ net: { table: 'one-gpu' }, placement: 'single' }));
  assert.equal(start({ weights: 'one' }).config.placement, 'single');
});

test("withStartingSettings() recognizes torchvision's file, and prepares images as for it", () => {
  const weights = sparseFile(join(out, 'alexnet.safetensors'), torchvisionTensors(1000));
  const { config } = start({ preset: 'mini', weights, newHead: true });
  const { net, data } = PRESETS.torchvision;
  assert.deepEqual(config.net, { ...net, classes: 10 });
  const { resize, interpolation, mean, scale, source, flip } = config.data;
  assert.deepEqual([resize, interpolation, mean, scale], [256, 'bilinear', data.mean, data.scale]);
  assert.deepEqual([source, flip, config.batchSize], ['embedded', true, 64]);
});

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { CASES, IMAGES, writeCase } from '../../scripts/pytorch-cases.js';
import { withTensors } from '../../src/checkpoint/weights-files.js';
import { CheckpointError } from '../../src/errors.js';
import { referenceForward } from '../../src/model/forward.js';
import { buildNet, type Net, parametersOf } from '../../src/model/net.js';
import { TFJS_OPS } from '../../src/model/ops.js';
import { useDevice } from '../../src/native/index.js';
import { exportLayersModel } from '../../src/weights/layers-model.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-layers-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));
useDevice('CPU:0');
// tfjs-node's own reader of such folders, without its addon.
const { fileSystem } = await import('@tensorflow/tfjs-node-gpu/dist/io/file_system.js');

/** Worst difference between the model's logits and the reference's. */
async function difference(net: Net, towers: readonly string[], pixels: Float32Array, model: tf.LayersModel) {
  const { inputSize, inputChannels } = net.options;
  return withTensors(towers, (source) =>
    tf.tidy(() => {
      const images = tf.tensor4d(pixels, [IMAGES, inputSize, inputSize, inputChannels]);
      const named = parametersOf(net).map(({ name, shape }) => [name, tf.tensor(source.read(name, shape), [...shape])]);
      const parameters = new Map(named as [string, tf.Tensor][]);
      const mask = () => assert.fail('no mask at test');
      const expected = referenceForward(net, images, { ops: TFJS_OPS, parameters, training: false, mask });
      const found = model.predict(images) as tf.Tensor;
      assert.deepEqual(found.shape, expected.shape);
      return tf.max(tf.abs(tf.sub(found, expected))).dataSync()[0]!;
    }),
  );
}

async function reload(out: string): Promise<tf.LayersModel> {
  return tf.loadLayersModel(fileSystem(join(out, 'model.json')) as tf.io.IOHandler);
}

for (const name of ['tutorial', 'torchvision', 'lenet'] as const) {
  test(`exportLayersModel() writes a folder that tfjs loads, with the logits of ${name}`, async () => {
    const { towers, images } = writeCase(folder, name);
    const out = join(folder, `${name}-model`);
    const net = buildNet(CASES[name]);
    const { tensors } = await exportLayersModel(net, towers, out);
    assert.equal(tensors, parametersOf(net).length);
    assert.deepEqual(fs.readdirSync(out).sort(), ['model.json', 'weights.bin']);
    const model = await reload(out);
    assert.ok((await difference(net, towers, images, model)) < 1e-5);
  });
}

test('exportLayersModel() scales the kernel after a dropout of 2012, and makes a branch for each tower', async () => {
  const { towers, images } = writeCase(folder, 'original');
  const whole = buildNet(CASES.original);
  const net = { ...whole, layers: whole.layers.filter(({ kind }) => kind !== 'norm' && kind !== 'mapNorm') };
  const out = join(folder, 'without-norms');
  await exportLayersModel(net, towers, out);
  const model = await reload(out);
  const scale = 1000; // of the logits, for nothing is normed
  assert.ok((await difference(net, towers, images, model)) < 1e-5 * scale);
  const ours = withTensors(towers, (source) => source.read('tower1/fc7/kernel', [256, 128]));
  const [kernel] = model.getLayer('tower1_fc7').getWeights();
  assert.deepEqual(
    kernel!.dataSync(),
    ours.map((value) => value / 2),
  );
});

test('exportLayersModel() lists the layers that tfjs lacks, and leaves no files', async () => {
  const { towers } = writeCase(folder, 'paper');
  const out = join(folder, 'refused');
  await assert.rejects(exportLayersModel(buildNet(CASES.paper), towers, out), (error) => {
    assert.ok(error instanceof CheckpointError);
    assert.match(
      error.message,
      /no layer for response normalization, and the net has norm after conv1, norm after conv2; /,
    );
    return true;
  });
  assert.deepEqual(
    fs.readdirSync(folder).filter((name) => name.includes('refused')),
    [],
  );
});

test('exportLayersModel() does not overwrite', async () => {
  const { towers } = writeCase(folder, 'lenet');
  const out = join(folder, 'taken');
  fs.mkdirSync(out);
  await assert.rejects(exportLayersModel(buildNet(CASES.lenet), towers, out), /it exists already/);
  const nowhere = join('/dev/null', 'folder');
  await assert.rejects(exportLayersModel(buildNet(CASES.lenet), towers, nowhere), /Cannot write \/dev\/null\/folder: /);
});

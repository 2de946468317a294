/** Forward and backward pass of each layer of one tower, each layer compiled on its own. */
import tf = require('@tensorflow/tfjs');

import { table } from '../../src/cli/format.js';
import { type Run, runLayer } from '../../src/model/forward.js';
import { buildNet, isWeighted, parametersOf, volume } from '../../src/model/net.js';
import { layerName } from '../../src/model/summary.js';
import { useDevice } from '../../src/native/binding/backend.js';
import { compile } from '../../src/native/graph/compile.js';
import { median } from '../../src/numbers.js';
import { nativeOps } from '../../src/tower/native-ops.js';
import { configOf, type NetSettings } from './nets.js';
import { interleave, save } from './report.js';

export async function benchLayers(settings: NetSettings, rounds: number, name?: string): Promise<void> {
  useDevice('CPU:0');
  const ops = nativeOps('auto');
  const net = buildNet(configOf(settings, 'single').net);
  const rows: { layer: string; forward: number; backward: number }[] = [];
  for (const [i, layer] of net.layers.entries()) {
    const { batch } = settings;
    const isFlat = i > 0 && volume(net.layers[i - 1]!.output) === net.layers[i - 1]!.output[2];
    const x = tf.randomNormal(isFlat ? [batch, layer.input[2]] : [batch, ...layer.input]);
    const own = isWeighted(layer) ? parametersOf(net, 0).filter((each) => each.layer === layer.name) : [];
    const values = own.map(({ shape }) => tf.randomNormal([...shape], 0, 0.01));
    const run: Run = {
      ...{ ops, training: true, parameters: new Map() },
      mask: (_layer, _tower, rows, channels) => tf.ones([rows, channels]),
    };
    const forward = (...all: tf.Tensor[]) => {
      const parameters = new Map(own.map((each, j) => [each.name, all[1 + j]!]));
      return runLayer(layer, 0, all[0]!, { ...run, parameters });
    };
    const inputs = [x, ...values];
    // The first layer's input needs no gradient.
    const call = compile((...all) => [forward(...all)], { gradients: inputs.map((_, j) => j > 0 || i > 0) });
    const slopes = tf.randomNormal([batch, ...(isFlat || layer.kind === 'dense' ? [layer.output[2]] : layer.output)]);
    const gradient = tf.grads((...all) => call(...all)[0]!);
    const [once, both] = await interleave(
      [
        { name: 'forward', run: () => inTidy(() => call(...inputs)) },
        { name: 'both', run: () => inTidy(() => gradient(inputs, slopes)) },
      ],
      rounds,
    );
    call.dispose();
    slopes.dispose();
    tf.dispose(inputs);
    const time = median(once!.times);
    rows.push({ layer: layerName(layer), forward: time, backward: median(both!.times) - time });
  }
  ops.dispose();
  const total = rows.reduce((sum, { forward, backward }) => sum + forward + backward, 0);
  const cells = rows.map(({ layer, forward, backward }) => [
    ...[layer, forward.toFixed(2), backward.toFixed(2)],
    `${((100 * (forward + backward)) / total).toFixed(1)} %`,
  ]);
  console.log(`tower 0 of ${settings.table}, ${settings.pixels} px, batch ${settings.batch}, ms, median of ${rounds}`);
  for (const line of table(['layer', 'forward', 'backward', 'share'], cells)) console.log(line);
  save(name, { settings, rows });
}

function inTidy(action: () => unknown): void {
  tf.tidy(() => void action());
}

/** Measures how long each layer of a net takes, with the halves of both towers computing at once as in a step. */
import tf = require('@tensorflow/tfjs');

import { type Run, runLayer } from '../../model/forward.js';
import { maskOf } from '../../model/init.js';
import { isWeighted, type Net, type Parameter, parametersOf, volume } from '../../model/net.js';
import { settle } from '../../native/binding/tensors.js';
import { type Compiled, compile } from '../../native/graph/compile.js';
import { statelessUniform } from '../../native/layers/stateless-random.js';
import { median } from '../../numbers.js';
import { costsOf, type LayerCost } from '../../plan/costs.js';
import type { LayerTime } from '../../plan/rates.js';
import { nativeOps } from '../../tower/native-ops.js';

const ROUNDS = { warmUp: 2, least: 3, most: 25 };

/** The functions of a layer, and their times by round. */
interface Timed {
  cost: LayerCost;
  /** Of both towers: what the layer reads, its parameters, and the gradient of what it computes. */
  inputs: tf.Tensor[];
  forward: Compiled;
  /** With the gradient of what the layer reads, and not of its parameters. */
  input: Compiled | undefined;
  all: Compiled;
  times: { forward: number[]; input: number[]; all: number[] };
}

type Op = (half: readonly tf.Tensor[]) => tf.Tensor;

/**
 * Runs each layer compiled on its own, in the thread's device, for about so long.
 * @param halves 2 where the device computes both towers' halves at once, as CPU devices do.
 * @param convolutions as in the settings.
 */
export function measureLayers(
  net: Net,
  batch: number,
  { seconds, halves, convolutions }: { seconds: number; halves: 1 | 2; convolutions: 'auto' | 'direct' },
): LayerTime[] {
  const ops = nativeOps(convolutions);
  const seed = tf.tensor1d([1, 2], 'int32');
  const run: Run = {
    ...{ ops, training: true, parameters: new Map() },
    mask: (_layer, _tower, rows, channels) => maskOf(statelessUniform([rows, channels], seed), 0.5),
  };
  const layers = costsOf(net).map((cost) => timedOf(net, cost, batch, Math.min(halves, cost.towers.length), run));
  const one = tf.scalar(1);
  const empty = compile((x) => [tf.add(x, 1)]);
  const emptyMs: number[] = [];
  const started = performance.now();
  for (let round = -ROUNDS.warmUp; round < ROUNDS.most; round++) {
    if (round >= ROUNDS.least && performance.now() - started > 1000 * seconds) break;
    const isCounted = round >= 0;
    const note = (times: number[], fn: Compiled, inputs: tf.Tensor[]) => {
      const ms = timeOf(fn, inputs);
      if (isCounted) times.push(ms);
    };
    note(emptyMs, empty, [one]);
    for (const { inputs, forward, input, all, times } of layers) {
      note(times.forward, forward, inputs);
      if (input) note(times.input, input, inputs);
      note(times.all, all, inputs);
    }
  }
  const found = layers.map((each) => partsOf(each, median(emptyMs), batch));
  for (const { inputs, forward, input, all } of layers) {
    tf.dispose(inputs);
    for (const each of [forward, input, all]) each?.dispose();
  }
  tf.dispose([one, seed]);
  empty.dispose();
  ops.dispose();
  return found;
}

function timedOf(net: Net, cost: LayerCost, batch: number, halves: number, run: Run): Timed {
  const { layer, kind, hasInputGradient } = cost;
  const isGather = kind === 'gather';
  const own = isWeighted(layer) && !isGather ? parametersOf(net, 0).filter((each) => each.layer === layer.name) : [];
  const i = net.layers.indexOf(layer);
  const isFlat = i > 0 && volume(net.layers[i - 1]!.output) === net.layers[i - 1]!.output[2];
  const shaped = (shape: readonly number[]) =>
    tf.randomNormal(
      isFlat || (layer.kind === 'dense' && shape === layer.output) ? [batch, shape[2]!] : [batch, ...shape],
    );
  const [height, width, channels] = layer.input;
  const half = [height, width, channels / 2];
  const inputs = Array.from({ length: halves }, () =>
    isGather
      ? [shaped(half), shaped(half), shaped(layer.input)]
      : [shaped(layer.input), ...own.map(({ shape }) => tf.randomNormal([...shape], 0, 0.01)), shaped(layer.output)],
  );
  const op: Op = isGather
    ? gather
    : ([x, ...parameters]) => runLayer(layer, 0, x!, { ...run, parameters: named(own, parameters) });
  const wanted = (j: number) => (isGather ? j === 0 : hasInputGradient || j > 0);
  const lists = (tensors: readonly tf.Tensor[]) =>
    inputs.map((_, n) => tensors.slice(n * inputs[0]!.length).slice(0, inputs[0]!.length));
  const withGradients = (isWanted: (j: number) => boolean) =>
    compile((...tensors) => lists(tensors).flatMap((list) => gradientsOf(op, list, isWanted)));
  return {
    cost,
    inputs: inputs.flat(),
    forward: compile((...tensors) => lists(tensors).map((list) => op(list.slice(0, -1)))),
    input: own.length > 0 && hasInputGradient ? withGradients((j) => j === 0) : undefined,
    all: withGradients(wanted),
    times: { forward: [], input: [], all: [] },
  };
}

function gather([own, peer]: readonly tf.Tensor[]): tf.Tensor {
  const axis = own!.rank - 1;
  return tf.customGrad((x) => {
    const gradFunc = (gradient: tf.Tensor) => {
      const [mine, theirs] = tf.split(gradient, 2, axis);
      return tf.add(mine!, theirs!);
    };
    return { value: tf.concat([x as tf.Tensor, peer!], axis), gradFunc };
  })(own!);
}

function named(own: readonly Parameter[], tensors: readonly tf.Tensor[]): Map<string, tf.Tensor> {
  return new Map(own.map(({ name }, i) => [name, tensors[i]!]));
}

/** What the layer computes, and the gradients that are wanted. @param list the last is the gradient of what it computes. */
function gradientsOf(op: Op, list: readonly tf.Tensor[], isWanted: (j: number) => boolean): tf.Tensor[] {
  const values = list.slice(0, -1);
  const kept: tf.Tensor[] = [];
  const gradients = tf.grads((...some) => {
    const left = [...some];
    const y = op(values.map((value, j) => (isWanted(j) ? left.shift()! : value)));
    kept.push(tf.keep(y.clone())); // so that the forward pass is not left out
    return y;
  })(
    values.filter((_, j) => isWanted(j)),
    list.at(-1)!,
  );
  const y = kept[0]!.clone();
  tf.dispose(kept);
  return [y, ...gradients];
}

function timeOf(fn: Compiled, inputs: readonly tf.Tensor[]): number {
  const started = performance.now();
  const results = fn(...inputs);
  for (const each of results) settle(each);
  const ms = performance.now() - started;
  tf.dispose(results);
  return ms;
}

function partsOf({ cost, input, times }: Timed, emptyMs: number, batch: number): LayerTime {
  const { key, kind, multiplyAdds, values, parameterBytes } = cost;
  const without = (list: readonly number[]) => Math.max(0, median(list) - emptyMs);
  const forwardMs = without(times.forward);
  const allMs = Math.max(forwardMs, without(times.all));
  const toInput = input
    ? Math.min(allMs, Math.max(forwardMs, without(times.input)))
    : parameterBytes > 0
      ? forwardMs
      : allMs;
  return {
    ...{ key, kind, batch, multiplyAdds, values, forwardMs },
    ...{ inputMs: toInput - forwardMs, kernelMs: allMs - toInput },
  };
}

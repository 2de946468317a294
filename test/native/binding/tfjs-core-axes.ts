/** Ops that work along axes or move elements, on every data type. */
import tf = require('@tensorflow/tfjs');

import { type Case, DTYPES, type Kind, type Run, tensorOf } from './tfjs-core-values.js';

const REDUCTIONS: Record<string, (x: tf.Tensor, axis: number[] | undefined, keepDims: boolean) => tf.Tensor> = {
  all: tf.all,
  any: tf.any,
  logSumExp: tf.logSumExp,
  max: tf.max,
  mean: tf.mean,
  min: tf.min,
  prod: tf.prod,
  sum: tf.sum,
};

const SHAPES = [[], [1], [0], [26], [300], [3, 9], [2, 0], [0, 2], [2, 3, 4], [2, 3, 2, 3], [2, 1, 3, 2, 3]];

type Add = (op: string, what: string, run: Run) => void;

export function alongAxes(): Case[] {
  const cases: Case[] = [];
  for (const dtype of DTYPES) {
    const kinds: Kind[] = dtype === 'bool' || dtype === 'string' ? ['edges'] : ['edges', 'tame'];
    for (const kind of kinds) {
      for (const shape of SHAPES) {
        const add: Add = (op, parameters, run) => {
          const what = `${kind} [${shape}] ${parameters}`;
          cases.push({ op, dtypes: dtype, what, inputs: () => [tensorOf(shape, dtype, 2, kind)], run });
        };
        reductions(shape, add);
        for (const axis of shape.keys()) alongOne(axis, add);
        whole(shape, add);
      }
    }
  }
  return cases;
}

function reductions({ length: rank }: number[], add: Add): void {
  const single = Array.from({ length: rank }, (_, axis) => [axis]);
  for (const axis of [undefined, ...single, ...(rank > 1 ? [[-1], [0, rank - 1], [rank - 1, 0]] : [])]) {
    for (const [op, run] of Object.entries(REDUCTIONS)) {
      for (const keepDims of [false, true]) add(op, `axis ${axis}, kept ${keepDims}`, (x) => run(x, axis, keepDims));
    }
    add('reverse', `axis ${axis}`, (x) => tf.reverse(x, axis));
  }
}

function alongOne(axis: number, add: Add): void {
  const at = `axis ${axis}`;
  add('argMax', at, (x) => tf.argMax(x, axis));
  add('argMin', at, (x) => tf.argMin(x, axis));
  for (const exclusive of [false, true]) {
    for (const reverse of [false, true]) {
      const what = `${at}, exclusive ${exclusive}, reverse ${reverse}`;
      add('cumsum', what, (x) => tf.cumsum(x, axis, exclusive, reverse));
      add('cumprod', what, (x) => tf.cumprod(x, axis, exclusive, reverse));
    }
  }
  add('unstack', at, (x) => tf.unstack(x, axis));
  add('split', at, (x) => tf.split(x, [1, x.shape[axis] - 1], axis));
  add('concat', at, (x) => tf.concat([x, x, x], axis));
  add('stack', at, (x) => tf.stack([x, x], axis));
  add('unique', at, (x) => {
    const { values, indices } = tf.unique(tf.concat([x, x], axis), axis);
    return [values, indices];
  });
  add('gather', at, (x) => tf.gather(x, tf.tensor1d([x.shape[axis] - 1, 0, 0], 'int32'), axis));
  add('softmax', at, (x) => tf.softmax(x, axis));
  add('logSoftmax', at, (x) => tf.logSoftmax(x, axis));
}

function whole(shape: number[], add: Add): void {
  const each = <T>(value: (size: number, axis: number) => T) => shape.map(value);
  const topk = (x: tf.Tensor, sorted: boolean) => tf.topk(x, Math.min(2, x.shape.at(-1)!), sorted);
  add('topk', 'sorted', (x) => [topk(x, true).values, topk(x, true).indices]);
  add('topk', 'in any order', (x) => topk(topk(x, false).values, true).values);
  add('transpose', '', (x) => tf.transpose(x));
  add('tile', '', (x) => tf.tile(x, each((_, axis) => (axis % 2) + 1))); // biome-ignore format: a row
  for (const value of [0, 2.5])
    add(`pad with ${value}`, '', (x) =>
      tf.pad(
        x,
        each((_, axis) => [1, axis]),
        value,
      ),
    );
  for (const mode of ['reflect', 'symmetric'] as const) {
    add(`mirrorPad ${mode}`, '', (x) => tf.mirrorPad(x, each(() => [1, 1]), mode)); // biome-ignore format: a row
  }
  const [begin, end] = [each((n) => (n > 1 ? 1 : 0)), each((n) => (n > 2 ? n - 2 : -1))];
  add('slice', '', (x) => tf.slice(x, begin, end));
  const all = (n: number) => each(() => n);
  add('stridedSlice', 'by 2', (x) => tf.stridedSlice(x, all(0), shape, all(2)));
  add('stridedSlice', 'backwards', (x) => tf.stridedSlice(x, all(-1), all(-100), all(-1)));
  add('stridedSlice', 'new axis', (x) => tf.stridedSlice(x, [0], [1], [1], 0, 0, 0, 1));
  add('stridedSlice', 'one of an axis', (x) => tf.stridedSlice(x, [0], [1], [1], 0, 0, 0, 0, 1));
  add('stridedSlice', 'ellipsis', (x) => tf.stridedSlice(x, [0, 0], [0, 1], [1, 1], 0, 0, 1));
  add('broadcastTo', '', (x) => tf.broadcastTo(x, [2, ...shape]));
  add('addN', '', (x) => tf.addN([x, x, x]));
  add('where', '', (x) => tf.where(tf.cast(tf.range(0, x.size), 'bool').reshape(x.shape), x, tf.reverse(x)));
  add('diag', '', (x) => tf.diag(x));
  add('squeeze', '', (x) => tf.squeeze(x));
}

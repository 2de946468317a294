import assert from 'node:assert/strict';
import test from 'node:test';

import tf = require('@tensorflow/tfjs');

import { NativeError } from '../../../src/errors.js';
import { backingDevice, runOp, useDevice } from '../../../src/native/binding/backend.js';
import { Variable } from '../../../src/native/binding/variables.js';
import { type CompileOptions, compile } from '../../../src/native/graph/compile.js';
import { activate, matMulBias } from '../../../src/native/layers/layer-ops.js';
import { statelessUniform } from '../../../src/native/layers/stateless-random.js';

useDevice('CPU:1');

const MODES: NonNullable<CompileOptions['mode']>[] = ['graph', 'xla'];

/** A function with most of what nets use: list inputs, slices, pads, reductions, ops of tfjs and of TensorFlow. */
function net(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor): tf.Tensor[] {
  const padded = tf.pad(x as tf.Tensor4D, [
    [0, 0],
    [1, 0],
    [1, 0],
    [0, 0],
  ]);
  const joined = tf.concat([padded, tf.square(padded)], 3);
  const pooled = tf.maxPool(tf.localResponseNormalization(joined as tf.Tensor4D, 2, 2, 1e-2, 0.75), 2, 2, 'valid');
  const [a, b] = tf.split(pooled, 2, 3) as [tf.Tensor, tf.Tensor];
  const flat = tf.reshape(tf.sub(a, tf.mul(b, 0.5)), [x.shape[0]!, -1]);
  const hidden = activate(matMulBias(flat as tf.Tensor2D, kernel as tf.Tensor2D, bias as tf.Tensor1D), 'relu');
  return [tf.mean(tf.logSumExp(hidden, 1)), hidden];
}

function inputs(batch: number): [tf.Tensor, tf.Tensor, tf.Tensor] {
  return [
    tf.randomNormal([batch, 5, 5, 4], 0, 1, 'float32', 1),
    tf.randomNormal([36, 7], 0, 1, 'float32', 2),
    tf.randomNormal([7], 0, 1, 'float32', 3),
  ];
}

function apart(a: tf.Tensor, b: tf.Tensor): number {
  return tf.tidy(() => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0]! / tf.max(tf.abs(b)).dataSync()[0]!);
}

function gradientsOf(f: (...xs: tf.Tensor[]) => tf.Tensor[], xs: tf.Tensor[]) {
  return tf.valueAndGrads((...all: tf.Tensor[]) => f(...all)[0]!)(xs);
}

for (const mode of MODES) {
  test(`compile() in mode ${mode} has the results and gradients of eager execution, on the pinned device`, () => {
    tf.tidy(() => {
      const compiled = compile(net, { mode });
      for (const batch of [8, 8, 3]) {
        const xs = inputs(batch);
        const [mine, eager] = [gradientsOf(compiled, xs), gradientsOf(net, xs)];
        assert.ok(apart(mine.value, eager.value) < 1e-6);
        mine.grads.forEach((gradient, i) => {
          assert.ok(apart(gradient, eager.grads[i]!) < 1e-5, `gradient ${i} of batch ${batch}`);
          assert.match(backingDevice(gradient), /CPU:1$/);
        });
        const [loss, hidden] = compiled(...xs); // without a tape
        const [lossOf, hiddenOf] = net(...xs);
        assert.ok(apart(loss!, lossOf!) < 1e-6 && apart(hidden!, hiddenOf!) < 1e-5);
      }
      assert.equal(compiled.traces, 4, 'two shapes, each with and without a gradient');
      compiled.dispose();
    });
  });
}

test('compile() runs the function once for each set of shapes, and uses the inputs of each call', () => {
  let runs = 0;
  const compiled = compile((x, factor) => {
    runs++;
    return [tf.mul(x!, factor!)];
  });
  for (const factor of [2, 3, 5]) {
    assert.deepEqual([...compiled(tf.tensor1d([1, 2]), tf.scalar(factor))[0]!.dataSync()], [factor, 2 * factor]);
  }
  assert.equal(runs, 1);
  compiled(tf.tensor1d([1, 2, 3]), tf.scalar(1));
  compiled(tf.tensor1d([1, 2], 'int32'), tf.scalar(1, 'int32'));
  assert.deepEqual([runs, compiled.traces], [3, 3]);
});

test('compile() draws new numbers for each seed if the seed is an input', () => {
  const compiled = compile((seed) => [statelessUniform([4], seed!)]);
  const draw = (...words: [number, number]) => [...compiled(tf.tensor1d(words, 'int32'))[0]!.dataSync()];
  assert.deepEqual(draw(1, 2), [...statelessUniform([4], [1, 2]).dataSync()]);
  assert.notDeepEqual(draw(1, 2), draw(1, 3));
  assert.equal(compiled.traces, 1);
});

test('compile() differentiates the inputs in `gradients`, and returns zeros for the others', () => {
  const compiled = compile((x, w) => [tf.sum(tf.mul(x!, w!))], { gradients: [false, true] });
  const [x, w] = [tf.tensor1d([1, 2]), tf.tensor1d([3, 4])];
  const { grads } = gradientsOf(compiled, [x, w]);
  assert.deepEqual(
    grads.map((each) => [...each.dataSync()]),
    [
      [0, 0],
      [1, 2],
    ],
  );
});

test('compile() is differentiable through two compiled functions with an eager op between', () => {
  const first = compile((x, w) => [tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D)]);
  const second = compile((y) => [tf.sum(tf.square(y!))]);
  const whole = (x: tf.Tensor, w: tf.Tensor) => [second(tf.tanh(first(x, w)[0]!))[0]!];
  const eager = (x: tf.Tensor, w: tf.Tensor) => [
    tf.sum(tf.square(tf.tanh(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D)))),
  ];
  const xs = [tf.randomNormal([3, 4]), tf.randomNormal([4, 2])];
  const [mine, theirs] = [gradientsOf(whole as never, xs), gradientsOf(eager as never, xs)];
  mine.grads.forEach((gradient, i) => {
    assert.ok(apart(gradient, theirs.grads[i]!) < 1e-6);
  });
});

test('compile() accepts tensors from outside, results that are inputs, and a result that occurs twice', () => {
  const outside = tf.tensor1d([10, 20]);
  const compiled = compile((x) => {
    const y = tf.add(x!, outside);
    return [y, x!, y];
  });
  const results = compiled(tf.tensor1d([1, 2])).map((each) => [...each.dataSync()]);
  assert.deepEqual(results, [
    [11, 22],
    [1, 2],
    [11, 22],
  ]);
  assert.deepEqual([...outside.dataSync()], [10, 20], 'what is outside stays usable');
});

test('compile() updates a variable once for each call', () => {
  const variable = new Variable(tf.tensor1d([1, 2]));
  const compiled = compile((x) => {
    variable.assign(tf.add(variable.read(), x!));
    return [x!];
  });
  for (let i = 0; i < 3; i++) compiled(tf.tensor1d([10, 100]));
  assert.deepEqual([...variable.read().dataSync()], [31, 302]);
});

test('compile() refuses to read values', () => {
  const compiled = compile((x) => [tf.mul(x!, x!.dataSync()[0]!)]);
  assert.throws(
    () => compiled(tf.scalar(2)),
    (error) => {
      return error instanceof NativeError && /Cannot read a tensor's values in a compiled function/.test(error.message);
    },
  );
  assert.equal(tf.add(1, 2).dataSync()[0], 3, 'the thread is as before');
});

test('compile() names an op that cannot be traced', () => {
  const wrong = compile((x) => runOp('NoSuchOp', [x!], []));
  assert.throws(
    () => wrong(tf.scalar(1)),
    (error) => error instanceof NativeError && error.op === 'NoSuchOp',
  );
  const shapeless = compile((x) => [runOp('Where', [tf.greater(x!, 0)], [{ name: 'T', type: 4, value: 10 }])[0]!]);
  assert.throws(
    () => shapeless(tf.tensor1d([1, 0])),
    (error) => {
      return error instanceof NativeError && error.op === 'Where' && /fixed shapes/.test(error.message);
    },
  );
  assert.throws(() => compile(() => [])(tf.scalar(1)), /returns no tensor/);
  assert.throws(() => compile((x) => x as never)(tf.scalar(1)), /does not return a list of tensors/);
  assert.throws(() => compile((x) => [x!], { mode: 'fast' as never }), /mode "fast", expected one of graph/);
});

test('compile() leaks neither tensors nor traces', () => {
  const xs = inputs(4);
  const round = () =>
    tf.tidy(() => {
      const compiled = compile(net);
      gradientsOf(compiled, xs);
      compiled(...xs);
      compiled.dispose();
    });
  for (let i = 0; i < 20; i++) round();
  const [tensors, resident] = [tf.memory().numTensors, process.memoryUsage.rss()];
  for (let i = 0; i < 100; i++) round();
  assert.equal(tf.memory().numTensors, tensors);
  // 200 traces that stayed would be some 400 MB.
  const grown = (process.memoryUsage.rss() - resident) / 2 ** 20;
  assert.ok(grown < 120, `${grown.toFixed(0)} MiB more`);
});

test('compile() uses the current value of a variable from outside', () => {
  const variable = tf.variable(tf.tensor1d([1, 2]), false);
  const compiled = compile((x) => [tf.mul(x!, variable)]);
  const values = () => [...compiled(tf.scalar(10))[0]!.dataSync()];
  assert.deepEqual(values(), [10, 20]);
  variable.assign(tf.tensor1d([3, 4]));
  assert.deepEqual(values(), [30, 40]);
  variable.assign(tf.add(variable, 1) as tf.Tensor1D);
  assert.deepEqual(values(), [40, 50]);
});

test('compile() refuses to differentiate with a trainable variable from outside', () => {
  const variable = tf.variable(tf.tensor1d([1, 2]));
  const compiled = compile((x) => [tf.sum(tf.mul(x!, variable))]);
  assert.throws(() => gradientsOf(compiled, [tf.scalar(2)]), /trainable variable .* from outside: it gets no gradient/);
  assert.equal(compiled(tf.scalar(2))[0]!.dataSync()[0], 6, 'without a tape it is as good as any');
});

test('compile() refuses a tensor from outside that was disposed of', () => {
  const outside = tf.tensor1d([1, 2]);
  const compiled = compile((x) => [tf.add(x!, outside)]);
  compiled(tf.scalar(1));
  outside.dispose();
  assert.throws(() => compiled(tf.scalar(1)), /a tensor from outside that it uses was disposed of/);
});

test('compile() keeps the order of reads and writes of a variable', () => {
  for (let i = 0; i < 10; i++) {
    const variable = new Variable(tf.scalar(1));
    const compiled = compile((x) => {
      variable.assign(tf.add(variable.read(), x!));
      variable.assign(tf.mul(variable.read(), 10));
      return [variable.read()];
    });
    assert.equal(compiled(tf.scalar(1))[0]!.dataSync()[0], 20);
    assert.equal(variable.read().dataSync()[0], 20);
  }
});

test('compile() accepts compiled functions in a compiled function', () => {
  const inner = compile((x) => [tf.square(x!)]);
  const outer = compile((x) => [tf.sum(inner(tf.add(x!, 1))[0]!)]);
  inner(tf.tensor1d([5]));
  const { value, grads } = gradientsOf(outer, [tf.tensor1d([1, 2])]);
  assert.deepEqual([value.dataSync()[0], ...grads[0]!.dataSync()], [13, 4, 6]);
});

test('compile() refuses the gradient of a result other than the first', () => {
  const compiled = compile((x) => [tf.sum(x!), tf.square(x!)]);
  const second = (x: tf.Tensor) => tf.sum(compiled(x)[1]!);
  assert.throws(() => tf.grad(second)(tf.tensor1d([1, 2])), /another result of a compiled function than its first/);
});

test('compile() traces again after the thread has moved to another device', () => {
  const compiled = compile((x) => [tf.add(x!, 1)]);
  assert.match(backingDevice(compiled(tf.scalar(1))[0]!), /CPU:1$/);
  useDevice('CPU:0');
  const there = compiled(tf.scalar(2))[0]!;
  assert.equal(there.dataSync()[0], 3);
  assert.match(backingDevice(there), /CPU:0$/);
  useDevice('CPU:1');
});

test('compile() refuses a tensor that was taken out of a trace', () => {
  let escaped: tf.Tensor | undefined;
  compile((x) => {
    escaped = tf.keep(tf.add(x!, 1));
    return [x!];
  })(tf.scalar(1));
  assert.throws(() => compile((x) => [tf.add(x!, escaped!)])(tf.scalar(1)), NativeError);
  assert.throws(() => escaped!.dataSync(), NativeError);
});

/** XLA's generator draws other numbers than TensorFlow's, so results show which of the two computed them. */
const draw = (seed: tf.Tensor) => [statelessUniform([8], seed)];

test('compile() leaves an inner function for XLA to XLA', () => {
  tf.tidy(() => {
    const inner = compile(draw, { mode: 'xla' });
    const outer = compile((a, b) => [tf.mul(inner(a)[0]!, 2), inner(b)[0]!]);
    const [other, seed] = [tf.tensor1d([5, 6], 'int32'), tf.tensor1d([3, 4], 'int32')];
    const [doubled, plain] = outer(other, seed);
    assert.notDeepEqual(plain!.dataSync(), draw(seed)[0]!.dataSync());
    assert.deepEqual(plain!.dataSync(), inner(seed)[0]!.dataSync());
    assert.deepEqual(doubled!.dataSync(), tf.mul(inner(other)[0]!, 2).dataSync());
    assert.deepEqual([inner.traces, outer.traces], [1, 1]);
    outer.dispose();
    inner.dispose();
  });
});

test('compile() records an inner function for XLA if it is differentiated, and otherwise calls it', () => {
  tf.tidy(() => {
    const inner = compile((x) => [tf.sigmoid(x)], { mode: 'xla' });
    // By hand, as the native layers do it: nothing differentiates the inner function itself.
    const byHand = (x: tf.Tensor) =>
      tf.customGrad((v, save) => {
        const y = inner(v as tf.Tensor)[0]!;
        (save as (tensors: tf.Tensor[]) => void)([y]);
        return { value: y, gradFunc: (dy, [kept]) => tf.mul(dy, inner(tf.mul(kept!, dy))[0]!) };
      })(x);
    const x = tf.tensor1d([-1, 0.5, 2]);
    for (const f of [byHand, (v: tf.Tensor) => inner(v)[0]!]) {
      const outer = compile((v) => [tf.mul(f(v), 3)]);
      const [mine, eager] = [gradientsOf(outer, [x]), gradientsOf((v) => [tf.mul(f(v!), 3)], [x])];
      assert.ok(apart(mine.value, eager.value) < 1e-6);
      assert.ok(apart(mine.grads[0]!, eager.grads[0]!) < 1e-6);
      outer.dispose();
    }
    inner.dispose();
  });
});

test('compile() traces an inner function for XLA anew after it was freed', () => {
  tf.tidy(() => {
    const inner = compile((x) => [tf.square(x)], { mode: 'xla' });
    const outer = compile((x) => [tf.add(inner(x)[0]!, 1)]);
    const x = tf.scalar(3);
    assert.equal(outer(x)[0]!.dataSync()[0], 10);
    inner.dispose();
    assert.equal(outer(x)[0]!.dataSync()[0], 10); // what XLA made stays
    const again = compile((y) => [tf.sub(inner(y)[0]!, 1)]); // traces the inner one anew
    assert.equal(again(x)[0]!.dataSync()[0], 8);
    again.dispose();
    outer.dispose();
    inner.dispose();
  });
});

test('compile() refuses an inner function for XLA that uses a tensor of the outer one without taking it as input', () => {
  tf.tidy(() => {
    const outer = compile((x) => {
      const doubled = tf.mul(x!, 2);
      const inner = compile((y) => [tf.add(y!, doubled)], { mode: 'xla' });
      return inner(x!);
    });
    assert.throws(
      () => outer(tf.scalar(1)),
      (error) => error instanceof NativeError && /make it an input of this one/.test(error.message),
    );
  });
});

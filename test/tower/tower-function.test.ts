import { deepEqual, equal, fail, match, notDeepEqual, ok, throws } from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';

import tf = require('@tensorflow/tfjs');

import type { Crossing } from '../../src/exchange/all-gather.js';
import { noCosts, type Sendable, type Transport } from '../../src/exchange/transport.js';
import { buildNet, type Net, parametersOf } from '../../src/model/net.js';
import { backingDevice, currentBinding, useDevice } from '../../src/native/binding/backend.js';
import { newCancellation, startCancellation } from '../../src/native/c/cancellation.js';
import { bytesToAlignment } from '../../src/native/c/copy.js';
import { nativeOps } from '../../src/tower/native-ops.js';
import { Parameters } from '../../src/tower/parameters.js';
import type { PassKind } from '../../src/tower/pass.js';
import type { Peer } from '../../src/tower/peer.js';
import { type Answering, TowerFunction, type TowerFunctionOptions } from '../../src/tower/tower-function.js';
import { difference } from '../../src/train/verify.js';

useDevice('CPU:1');

const CLASSES = 10;
const settings = { table: 'original', width: 0.05, inputSize: 67, inputChannels: 3, classes: CLASSES } as const;
const net: Net = buildNet({ ...settings, init: 'he', dropout: true });
const optimizer = {
  ...{ learningRate: 0.01, momentum: 0.9, weightDecay: 0.0005, biasRateFactor: 2, biasDecay: 0 },
  schedule: { kind: 'constant' },
} as const;
const ops = nativeOps('auto');
after(() => ops.dispose());
const STEP: PassKind = { training: true, keep: false };
const SILENT: Answering = { onForward: () => {}, onGradients: () => {} };

function batchOf(count: number, shape: readonly [number, number, number] = [67, 67, 3]) {
  const images = tf.randomNormal([count, ...shape], 0, 1, 'float32', 7) as tf.Tensor4D;
  const labels = tf.tensor1d(
    Array.from({ length: count }, (_, i) => i % CLASSES),
    'int32',
  );
  return { images, labels };
}

/** A part of the net with parameters of its own. */
function open(part: TowerFunctionOptions['part'], more: Partial<TowerFunctionOptions> = {}) {
  const own = new Parameters(
    parametersOf(more.net ?? net, part === 'whole' ? undefined : part),
    'he',
    optimizer,
    1,
    'on',
  );
  const options = { net, part, ops, seed: 1, compile: 'on', names: own.names, ...more } as const;
  const towerFunction = new TowerFunction({ ...options, readParameters: () => own.read() });
  const dispose = () => {
    towerFunction.dispose();
    own.dispose();
  };
  return { run: towerFunction.run.bind(towerFunction), parameters: own, dispose, towerFunction };
}

type Found = ReturnType<typeof look>;

/** TensorFlow adds up the gradients of biases in another order within a function; all else is equal bit for bit. */
function sameToRounding(found: Found, expected: Found): void {
  const parts = ({ said, gradients, captured }: Found) => {
    return {
      said: said.slice(0, 2),
      names: captured.map(({ name }) => name),
      values: captured.map(({ values }) => values),
      count: gradients.length,
    };
  };
  ok(isDeepStrictEqual(parts(found), parts(expected)), 'loss, scores and what is captured are the same bits');
  for (const [i, values] of found.gradients.entries()) {
    const { relative } = difference(values, expected.gradients[i]!);
    ok(relative < 1e-5, `gradient ${i} differs by ${relative}`);
  }
}

type Opened = ReturnType<typeof open>;
type Batch = ReturnType<typeof batchOf>;

/** All that a pass leaves, as values, in the order in which it is said. */
function look(opened: Opened, batch: Batch, step: number, kind: PassKind = STEP) {
  return tf.tidy(() => {
    const said: (number | Float32Array)[] = [];
    const found = opened.run({ ...batch, step }, kind, {
      onForward(loss, logits) {
        if (loss && logits) said.push(loss.dataSync()[0]!, logits.dataSync() as Float32Array);
      },
      onGradients: (squares) => void said.push(squares.dataSync()[0]!),
    });
    return {
      said,
      gradients: found.gradients.map((each) => each.dataSync() as Float32Array),
      shapes: found.gradients.map(({ shape }) => shape),
      captured: found.captured.map(({ name, kind, tensor }) => ({ name, kind, values: tensor.dataSync() })),
    } as unknown as tf.TensorContainer;
  }) as unknown as {
    said: (number | Float32Array)[];
    gradients: Float32Array[];
    shapes: number[][];
    captured: { name: string; kind: string; values: Float32Array }[];
  };
}

const withPeer = (peer: Peer) => ({ peer, waits: peer });

/**
 * A peer that sends what it is sent, halved, and where that is nothing, a number of its own. Notes what is done, in order.
 * @param fails throws at that place.
 */
function mirror(did: string[] = [], fails: (what: 'out' | 'in', place: Crossing) => void = () => {}): Peer {
  const sent = new Map<string, Float32Array>();
  const transport: Transport = {
    checksums: false,
    watch: undefined,
    send({ shape, copyTo }: Sendable, place) {
      const at = `${place.site} ${place.direction}`;
      fails('out', place);
      did.push(`${at} out`);
      const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
      copyTo(new Uint8Array(values.buffer));
      // Where there is a home, nothing comes back.
      if (place.site !== 'fc8') sent.set(at, values);
    },
    receive({ shape }, place, use) {
      const at = `${place.site} ${place.direction}`;
      fails('in', place);
      did.push(`${at} in`);
      const count = shape.reduce((a, b) => a * b, 1);
      const values = sent.get(at)?.map((value) => value / 2) ?? new Float32Array(count).fill(0.25);
      // As in a mailbox: where a tower on a CPU uses it without a copy.
      const memory = new SharedArrayBuffer(4 * count + 64);
      const lent = new Float32Array(memory, bytesToAlignment(memory), count);
      lent.set(values);
      const found = use(new Uint8Array(memory, lent.byteOffset, lent.byteLength));
      lent.fill(Number.NaN); // it is the sender's again
      return found;
    },
    takeCosts: noCosts,
  };
  return {
    ...{ transport, dtype: 'float32' as const, withdrawCancellation: () => true },
    runsWhile: { cancellation: newCancellation(), noteExecutor: () => {}, noteCancellation: () => {} },
  };
}

const BOTH = ['conv3', 'fc6', 'fc7'].flatMap((site) => [`${site} forward out`, `${site} forward in`]);
const BACK = ['fc7', 'fc6', 'conv3'].flatMap((site) => [`${site} backward out`, `${site} backward in`]);
/** By tower: 0 is the home of the last layer. */
const ORDER = [
  [...BOTH, 'fc8 forward in', 'fc8 backward out', ...BACK],
  [...BOTH, 'fc8 forward out', 'fc8 backward in', ...BACK],
];

describe('TowerFunction of the whole net', () => {
  const whole = open('whole');
  const opByOp = open('whole', { compile: 'off' });
  after(() => {
    whole.dispose();
    opByOp.dispose();
  });

  for (const count of [4, 3]) {
    it(`run() has the loss and scores of the same pass op by op, and its gradients to rounding, with ${count} images`, () => {
      tf.tidy(() => {
        const batch = batchOf(count);
        const [one, other] = [look(whole, batch, 5), look(opByOp, batch, 5)];
        sameToRounding(one, other);
        equal(one.said.length, 3);
        deepEqual(
          one.shapes,
          parametersOf(net).map(({ shape }) => [...shape]),
        );
      });
    });
  }

  it('run() with kept tensors has the same loss and gradients, and every layer by name', () => {
    tf.tidy(() => {
      const batch = batchOf(4);
      const [plain, kept] = [look(whole, batch, 5), look(whole, batch, 5, { training: true, keep: true })];
      ok(isDeepStrictEqual([kept.said, kept.gradients], [plain.said, plain.gradients]));
      sameToRounding(kept, look(opByOp, batch, 5, { training: true, keep: true }));
      const names = kept.captured.map(({ name, kind }) => `${kind} ${name}`);
      ok(names.includes('activation tower1/conv3') && names.includes('input tower0/conv3/input'), `${names}`);
      equal(new Set(names).size, names.length);
    });
  });

  it('run() without training applies no dropout, and returns no gradients', () => {
    tf.tidy(() => {
      const batch = batchOf(4);
      const found = [1, 2].map((step) => look(whole, batch, step, { training: false, keep: false }));
      ok(isDeepStrictEqual(found[0], found[1]));
      deepEqual([found[0]!.gradients, found[0]!.said.length], [[], 2]);
      sameToRounding(found[0]!, look(opByOp, batch, 1, { training: false, keep: false }));
    });
  });

  // LeNet has no dropout, whose masks XLA draws by its own generator, and compiles in seconds.
  it('run() by XLA has the loss and gradients of the pass op by op, to rounding', () => {
    const lenet = { table: 'lenet', width: 1, inputSize: 28, inputChannels: 1, classes: 10 } as const;
    const small = buildNet({ ...lenet, init: 'xavier', dropout: true });
    const [one, other] = [open('whole', { net: small, compile: 'xla' }), open('whole', { net: small, compile: 'off' })];
    tf.tidy(() => {
      const batch = batchOf(4, [28, 28, 1]);
      const [mine, theirs] = [look(one, batch, 5), look(other, batch, 5)];
      for (const [i, values] of mine.gradients.entries()) {
        ok(difference(values, theirs.gradients[i]!).relative < 1e-5);
      }
      ok(Math.abs((mine.said[0] as number) - (theirs.said[0] as number)) < 1e-5);
    });
    for (const each of [one, other]) each.dispose();
  });

  it('run() returns half of the sum of the squares of all gradients', () => {
    tf.tidy(() => {
      const { said, gradients } = look(whole, batchOf(4), 5);
      const expected = gradients.flatMap((each) => [...each]).reduce((sum, g) => sum + g ** 2 / 2, 0);
      ok(Math.abs((said[2] as number) / expected - 1) < 1e-5, `${said[2]} and ${expected}`);
    });
  });

  it('run() draws new dropout in each step, and reads the current parameters', () => {
    tf.tidy(() => {
      const batch = batchOf(4);
      const lossOf = (step: number) => look(whole, batch, step).said[0];
      const first = lossOf(5);
      equal(lossOf(5), first);
      notDeepEqual(lossOf(6), first);
      const { name, shape } = parametersOf(net)[0]!;
      const before = whole.parameters.readOne(name).dataSync() as Float32Array;
      whole.parameters.put(name, new Float32Array(shape.reduce((a, b) => a * b)));
      notDeepEqual(lossOf(5), first);
      whole.parameters.put(name, before);
    });
  });

  it('run() keeps nothing on the device except what it returns', () => {
    const batch = batchOf(4);
    tf.tidy(() => void look(whole, batch, 7));
    const [before, held] = [tf.memory().numTensors, currentBinding().getNumOfTensors()];
    const { gradients, value, logits } = whole.run({ ...batch, step: 7 }, STEP, SILENT);
    match(backingDevice(gradients[0]!), /CPU:1$/);
    tf.dispose([...gradients, value, logits!]);
    deepEqual([tf.memory().numTensors, currentBinding().getNumOfTensors()], [before, held]);
    tf.dispose([batch.images, batch.labels]);
  });
});

describe('TowerFunction of a tower', () => {
  for (const tower of [0, 1] as const) {
    it(`run() of tower ${tower} has the results of the same pass op by op, and the same order of exchanges`, () => {
      const did: string[] = [];
      const didOpByOp: string[] = [];
      const one = open(tower, withPeer(mirror(did)));
      const other = open(tower, { ...withPeer(mirror(didOpByOp)), compile: 'off' });
      const before = tf.memory().numTensors;
      for (const kind of [STEP, { training: true, keep: true }, { training: false, keep: false }]) {
        for (const count of [4, 3, 4]) {
          tf.tidy(() => {
            did.length = 0;
            didOpByOp.length = 0;
            const batch = batchOf(count);
            const found = look(one, batch, 5, kind);
            sameToRounding(found, look(other, batch, 5, kind));
            deepEqual(did, didOpByOp);
            const order = ORDER[tower]!;
            const expected = kind.training ? order : order.filter((each) => each.includes('forward'));
            deepEqual(did, expected);
            equal(found.said.length, (tower === 0 ? 2 : 0) + (kind.training ? 1 : 0));
            equal(found.captured.length > 0, kind.keep);
          });
        }
      }
      equal(tf.memory().numTensors, before);
      for (const each of [one, other]) each.dispose();
    });
  }

  it('run() gives the function received values in place, and copies them if the next send may not depend on them', (t) => {
    const copies = [0, 1].map((tower) => {
      const one = open(tower as 0 | 1, withPeer(mirror()));
      tf.tidy(() => void look(one, batchOf(4), 5));
      const copied = t.mock.method(currentBinding(), 'createHostTensor');
      tf.tidy(() => void look(one, batchOf(4), 5));
      const count = copied.mock.callCount();
      copied.mock.restore();
      one.dispose();
      return count;
    });
    // Tower 0 copies what it reads in fc7, because it receives again later; tower 1 copies the gradient of fc8.
    deepEqual(copies, [1, 1]);
  });

  for (const phase of ['send', 'forward', 'answer', 'backward', 'gradients'] as const) {
    it(`run() throws a failure at ${phase}, and the next pass is not affected`, () => {
      let isBroken = false;
      const gone = () => (isBroken ? fail('the peer is gone') : undefined);
      const peer = mirror([], (what, { site, direction }) => {
        if (what === 'out' && site === 'fc7' && phase === 'send') gone();
        if (what === 'in' && site === 'fc6' && direction === phase) gone();
      });
      const one = open(0, withPeer(peer));
      const batch = batchOf(4);
      const expected = look(one, batch, 5);
      const [before, held] = [tf.memory().numTensors, currentBinding().getNumOfTensors()];
      isBroken = true;
      const answering: Answering = {
        onForward: () => (phase === 'answer' ? gone() : undefined),
        onGradients: () => (phase === 'gradients' ? gone() : undefined),
      };
      throws(
        () => tf.tidy(() => void one.run({ ...batch, step: 5 }, STEP, answering)),
        /^AssertionError.*the peer is gone$/,
      );
      isBroken = false;
      ok(isDeepStrictEqual(look(one, batch, 5), expected));
      equal(tf.memory().numTensors, before);
      equal(currentBinding().getNumOfTensors(), held);
      tf.dispose([batch.images, batch.labels]);
      one.dispose();
    });
  }

  it('run() can be cancelled repeatedly from another thread at the published address', () => {
    const peer = mirror([], (what, { site, direction }) => {
      // As the coordinator does it from its own thread, while this one is about to wait.
      if (isCancelled && what === 'in' && site === 'fc7' && direction === 'forward') startCancellation(address);
    });
    let address = peer.runsWhile.cancellation;
    peer.runsWhile.noteCancellation = (noted) => {
      address = noted;
    };
    let isCancelled = false;
    const one = open(0, withPeer(peer));
    const batch = batchOf(4);
    const expected = look(one, batch, 5);
    for (let i = 0; i < 3; i++) {
      isCancelled = true;
      throws(() => look(one, batch, 5), /CANCELLED/);
      isCancelled = false;
      ok(isDeepStrictEqual(look(one, batch, 5), expected));
    }
    tf.dispose([batch.images, batch.labels]);
    one.dispose();
  });
});

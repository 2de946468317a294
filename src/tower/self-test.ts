/** Before a run: known patterns from tower to tower, at every site's real size, in both directions. */
import tf = require('@tensorflow/tfjs');

import type { Crossing } from '../exchange/index.js';
import { type Net, sitesOf, type TowerIndex, volume } from '../model/net.js';
import { tensorFrom } from '../native/binding/tensors.js';
import { compile } from '../native/graph/compile.js';
import type { RunsWhile } from '../native/graph/run-while.js';
import { type HostAction, HostQueues, hostExchanger, serve } from './host-work.js';
import type { SelfTestReply } from './protocol.js';
import type { Peer } from './tower-function.js';

/** A crossing is timed so often, after once untimed. */
const ROUNDS = 3;

/** Crosses with a tensor, in a function as a step's; the peer does the same. @returns what came; the caller's. */
type Cross = (own: tf.Tensor, place: Crossing) => tf.Tensor;

/** A transport's crossing. */
interface Crossed {
  cross: Cross;
  /**
   * Frees its functions, and what an error left in its queues.
   * @param isDone destroys the queues too: after an error another thread may be in the midst of cancelling one.
   */
  dispose(isDone: boolean): void;
}

/**
 * Sends this tower's patterns and compares the peer's with what they have to be, bit for bit; and tells how long each
 * transport takes.
 */
export function selfTest(net: Net, tower: TowerIndex, batchSize: number, peer: Peer, by: RunsWhile): SelfTestReply {
  const device = peer.device && deviceCrossing(peer.device, by);
  const message = messageCrossing(peer, by);
  let isDone = false;
  try {
    const reply = tf.tidy(() => compare(net, tower, batchSize, message, device) as unknown as tf.TensorContainer);
    isDone = true;
    return reply as unknown as SelfTestReply;
  } finally {
    device?.dispose(isDone);
    message.dispose(isDone);
  }
}

function compare(
  net: Net,
  tower: TowerIndex,
  batchSize: number,
  message: Crossed,
  device: Crossed | undefined,
): SelfTestReply {
  const crossingMs: SelfTestReply['crossingMs'] = { msgpack: 0, ...(device && { device: 0 }) };
  let wrong: string | undefined;
  for (const [i, { name: site, shape }] of sitesOf(net).entries()) {
    const sizes = [batchSize, ...shape];
    for (const direction of ['forward', 'backward'] as const) {
      const place = { site, direction };
      const seed = i * 2 + (direction === 'forward' ? 0 : 1);
      const own = tensorFrom(sizes, pattern(sizes, tower, seed));
      const expected = pattern(sizes, 1 - tower, seed);
      const received = (device ?? message).cross(own, place);
      const values = received.dataSync() as Float32Array;
      if (!values.every((value, j) => value === expected[j])) wrong ??= `${direction} at ${site}`;
      received.dispose();
      crossingMs.msgpack += timeOf(message.cross, own, place);
      if (device) crossingMs.device! += timeOf(device.cross, own, place);
      own.dispose();
    }
  }
  return { crossingMs, ...(wrong !== undefined && { wrong }) };
}

/** Milliseconds of the fastest of a few crossings: a first one waits for the peer, and for memory. */
function timeOf(cross: Cross, own: tf.Tensor, place: Crossing): number {
  const times = Array.from({ length: ROUNDS + 1 }, () => {
    const started = performance.now();
    cross(own, place).dispose();
    return performance.now() - started;
  });
  return Math.min(...times.slice(1));
}

function deviceCrossing(device: NonNullable<Peer['device']>, by: RunsWhile): Crossed {
  const exchanger = device.exchanger(true);
  const place: Crossing = { site: 'self-test', direction: 'forward' };
  const compiled = compile((own) => {
    exchanger.send(own, place);
    return [exchanger.receive(own.shape, place)];
  });
  return {
    cross: (own) => compiled.runWhile(by, () => {}, own)[0]!,
    dispose: () => compiled.dispose(),
  };
}

function messageCrossing({ transport, dtype }: Peer, by: RunsWhile): Crossed {
  const queues = new HostQueues(dtype);
  const actions = new Map<string, HostAction[]>();
  let at: Crossing = { site: '', direction: 'forward' };
  const compiled = compile((own) => {
    const noted: HostAction[] = [];
    actions.set(String(own.shape), noted);
    const exchanger = hostExchanger(queues, noted);
    exchanger.send(own, at);
    return [exchanger.receive(own.shape, at)];
  });
  return {
    cross(own, place) {
      at = place;
      const none = () => {};
      const work = () => {
        const noted = actions.get(String(own.shape))!.map((each) => ('place' in each ? { ...each, place } : each));
        serve(noted, queues, 0, transport, { onForward: none, onGradients: none });
      };
      return compiled.runWhile(by, work, own)[0]!;
    },
    dispose(isDone) {
      compiled.dispose();
      if (isDone) queues.dispose();
      else queues.clear();
    },
  };
}

/** Whole numbers below 2048, which float16 has too. */
function pattern(sizes: readonly number[], tower: number, seed: number): Float32Array {
  const count = volume(sizes);
  const offset = (seed * 2 + tower + 1) * 0x9e3779b9;
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = (Math.imul(i + offset, 0x85ebca6b) >>> 21) - 1024;
  return values;
}

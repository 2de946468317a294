/** Before a run: known patterns cross at every site's real size, in both directions. */
import tf = require('@tensorflow/tfjs');

import type { Crossing, Exchanger } from '../exchange/all-gather.js';
import { type Net, sitesOf, type TowerIndex, volume } from '../model/net.js';
import { tensorFrom } from '../native/binding/tensors.js';
import { compile } from '../native/graph/compile.js';
import { type HostAction, HostQueues, hostExchanger, serve } from './host-work.js';
import type { Peer } from './peer.js';
import type { SelfTestReply } from './protocol.js';

/** How often a crossing is timed, after one that is not. */
const ROUNDS = 3;

/** A transport, in compiled functions as in a step. */
interface Crosser {
  /** Sends a tensor and returns the peer's, which does the same; the caller disposes it. */
  cross(own: tf.Tensor, place: Crossing): tf.Tensor;
  /** @param isDone false after an error: then queues stay, because another thread may be cancelling one. */
  dispose(isDone: boolean): void;
}

/** Sends this tower's patterns, compares the peer's bit for bit with what they have to be, and times each transport. */
export function selfTest(net: Net, tower: TowerIndex, batchSize: number, peer: Peer): SelfTestReply {
  const { device: exchange } = peer;
  const device = exchange && crosser(peer, () => exchange.exchanger(true));
  const message = crosser(peer, hostExchanger);
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

function compare(net: Net, tower: TowerIndex, batchSize: number, message: Crosser, device?: Crosser): SelfTestReply {
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
      crossingMs.msgpack += timeOf(message, own, place);
      if (device) crossingMs.device! += timeOf(device, own, place);
      own.dispose();
    }
  }
  return { crossingMs, ...(wrong !== undefined && { wrong }) };
}

/** Milliseconds of the fastest crossing; the first one, which waits for the peer and for memory, does not count. */
function timeOf({ cross }: Crosser, own: tf.Tensor, place: Crossing): number {
  const times = Array.from({ length: ROUNDS + 1 }, () => {
    const started = performance.now();
    cross(own, place).dispose();
    return performance.now() - started;
  });
  return Math.min(...times.slice(1));
}

/** @param open makes the exchanger of a function while it is recorded. */
function crosser(
  { transport, dtype, runsWhile }: Peer,
  open: (queues: HostQueues, actions: HostAction[]) => Exchanger,
): Crosser {
  const queues = new HostQueues(dtype);
  const byShape = new Map<string, HostAction[]>();
  let at: Crossing = { site: '', direction: 'forward' };
  const compiled = compile((own) => {
    const actions: HostAction[] = [];
    byShape.set(String(own.shape), actions);
    const exchanger = open(queues, actions);
    exchanger.send(own, at);
    return [exchanger.receive(own.shape, at)];
  });
  return {
    cross(own, place) {
      at = place;
      const work = () => {
        const recorded = byShape.get(String(own.shape))!;
        const actions = recorded.map((each) => ('place' in each ? { ...each, place } : each));
        serve(actions, queues, 0, transport, { onForward: () => {}, onGradients: () => {} });
      };
      return compiled.runWhile(runsWhile, work, own)[0]!;
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
  const offset = (seed * 2 + tower + 1) * 0x9e3779b9;
  return new Float32Array(volume(sizes)).map((_, i) => (Math.imul(i + offset, 0x85ebca6b) >>> 21) - 1024);
}

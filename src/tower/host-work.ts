/**
 * The host's part in a compiled pass. The function sends tensors to the host by a TensorFlow queue and receives tensors from
 * it by another. While the function runs, the tower's thread passes them on to the peer and from it, and reads the answers
 * (loss, logits, norm), in the order in which the pass was recorded.
 */
import tf = require('@tensorflow/tfjs');

import type { Crossing, Exchanger } from '../exchange/all-gather.js';
import type { Dtype } from '../exchange/codec.js';
import { scaleOf, type Transport } from '../exchange/transport.js';
import { type QueuedTensor, TensorQueue } from '../native/graph/tensor-queue.js';
import { messageNotices, type Notices } from './exchangers.js';
import type { PassHooks } from './pass.js';

/** What the thread does next while a function runs. */
export type HostAction =
  | { kind: 'send'; place: Crossing }
  /** `isLent`: the function may read the message where it lies, until it has sent what it computed from it. */
  | { kind: 'receive'; place: Crossing; shape: readonly number[]; isLent: boolean }
  /** For tensors that go by device. */
  | { kind: 'sendNotice' | 'receiveNotice'; place: Crossing; shape: readonly number[] }
  /** Reads loss and logits, in the tower that has them. */
  | { kind: 'forward'; hasLoss: boolean }
  | { kind: 'gradients' };

/** A tower's queues in the host's memory. */
export class HostQueues {
  /** What crosses, in the type in which it crosses. */
  readonly out: TensorQueue;
  readonly in: TensorQueue;
  /** Loss, logits and the gradients' norm, float32. */
  readonly answers = new TensorQueue();

  constructor(readonly dtype: Dtype) {
    this.out = new TensorQueue({ dtype });
    this.in = new TensorQueue({ dtype });
  }

  /** Removes what a function that failed left. */
  clear(): void {
    for (const queue of [this.out, this.in, this.answers]) queue.clear();
  }

  /** Functions that use them have to be disposed before, and no other thread may be cancelling one. */
  dispose(): void {
    for (const queue of [this.out, this.in, this.answers]) queue.dispose();
  }
}

/** While recording: exchanges by way of the host. Adds what the host has to do to `actions`. */
export function hostExchanger({ out, in: given, dtype }: HostQueues, actions: HostAction[]): Exchanger {
  const receive = (shape: readonly number[], place: Crossing, isLent: boolean): tf.Tensor => {
    actions.push({ kind: 'receive', place, shape, isLent });
    return given.receive(shape, scaleOf(dtype, place));
  };
  return {
    send(tensor, place) {
      actions.push({ kind: 'send', place });
      out.send(tensor, scaleOf(dtype, place));
    },
    receive: (shape, place) => receive(shape, place, false),
    receiveFor: (shape, place, compute) => compute(receive(shape, place, true)),
  };
}

/** While recording an exchange by device: tells the host of each tensor by its first value, which comes once it is computed. */
export function hostNotices({ out }: HostQueues, actions: HostAction[]): Notices {
  return {
    send(tensor, place) {
      const { shape } = tensor;
      actions.push({ kind: 'sendNotice', place, shape });
      out.send(tf.slice(tensor, Array(shape.length).fill(0), Array(shape.length).fill(1)));
    },
    receive: (shape, place) => void actions.push({ kind: 'receiveNotice', place, shape }),
  };
}

/** While recording: the hooks that send the answers to the host. */
export function recordHooks(
  { answers }: HostQueues,
  actions: HostAction[],
  exchanger: Exchanger | undefined,
): PassHooks {
  return {
    exchanger,
    onForward(loss, logits) {
      actions.push({ kind: 'forward', hasLoss: loss !== undefined });
      if (loss) answers.send(loss);
      if (logits) answers.send(logits);
    },
    onGradients(squares) {
      actions.push({ kind: 'gradients' });
      answers.send(squares);
    },
  };
}

/**
 * While a function runs: performs the actions that were recorded with it.
 * @param transport undefined if it exchanges nothing. @param hooks receive the answers.
 */
export function serve(
  actions: readonly HostAction[],
  queues: HostQueues,
  step: number,
  transport: Transport | undefined,
  hooks: Pick<PassHooks, 'onForward' | 'onGradients'>,
): void {
  const { out, in: given, answers, dtype } = queues;
  const notices = transport && messageNotices(transport, step);
  let taken: QueuedTensor | undefined; // while a message was lent
  const take = (queue: TensorQueue): QueuedTensor => {
    const next = taken ?? queue.take();
    taken = undefined;
    return next;
  };
  for (const [i, action] of actions.entries()) {
    switch (action.kind) {
      case 'send': {
        const tensor = take(out);
        try {
          transport!.send({ shape: tensor.shape, dtype, copyTo: tensor.copyTo }, { ...action.place, step });
        } finally {
          tensor.dispose();
        }
        break;
      }
      case 'receive': {
        const { shape, place, isLent } = action;
        const next = isLent ? queueOf(actions[i + 1], queues) : undefined;
        taken = transport!.receive({ shape, dtype }, { ...place, step }, (bytes) => {
          given.putBytes(shape, bytes, next === undefined);
          return next?.take();
        });
        break;
      }
      case 'sendNotice':
        take(out).dispose();
        notices!.send(action, action.place);
        break;
      case 'receiveNotice':
        notices!.receive(action.shape, action.place);
        break;
      case 'forward':
        if (!action.hasLoss) hooks.onForward();
        else hooks.onForward(take(answers).toTensor() as tf.Scalar, take(answers).toTensor() as tf.Tensor2D);
        break;
      case 'gradients':
        hooks.onGradients(take(answers).toTensor() as tf.Scalar);
    }
  }
}

/** The queue from which an action first takes something that the function sent; undefined if it does not. */
function queueOf(action: HostAction | undefined, { out, answers }: HostQueues): TensorQueue | undefined {
  if (action?.kind === 'send') return out;
  return action?.kind === 'gradients' || (action?.kind === 'forward' && action.hasLoss) ? answers : undefined;
}

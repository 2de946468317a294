/**
 * What a tower's thread does while its function runs: it sends to the peer what the function sends to the host, gives the
 * function what the peer sent, and looks at the answers.
 */
import tf = require('@tensorflow/tfjs');

import { type Crossing, type Dtype, type Exchanger, scaleOf, type Transport } from '../exchange/index.js';
import { type QueuedTensor, TensorQueue } from '../native/graph/tensor-queue.js';
import { hear, type Notices, tell } from './exchangers.js';
import type { PassHooks } from './pass.js';

/** What the thread does next, in the order in which the function was recorded. */
export type HostAction =
  | { kind: 'send'; place: Crossing }
  /** Lent: the message may lie where it is until the function has sent what it computed with it. */
  | { kind: 'receive'; place: Crossing; shape: readonly number[]; isLent: boolean }
  /** That the function sent something by device, and that the peer's did. */
  | { kind: 'tell' | 'hear'; place: Crossing; shape: readonly number[] }
  /** With a loss and logits, in the tower that has them. */
  | { kind: 'forward'; hasLoss: boolean }
  | { kind: 'gradients' };

/** Queues in the host's memory, of one tower. */
export class HostQueues {
  readonly dtype: Dtype;
  /** What crosses, in the data type in which it does. */
  readonly out: TensorQueue;
  readonly in: TensorQueue;
  /** Loss, logits and the gradients' norm, float32. */
  readonly answers = new TensorQueue();

  constructor(dtype: Dtype) {
    this.dtype = dtype;
    this.out = new TensorQueue({ dtype });
    this.in = new TensorQueue({ dtype });
  }

  /** Takes out what a function that failed left. */
  clear(): void {
    for (const queue of [this.out, this.in, this.answers]) queue.clear();
  }

  /** Functions that use them are disposed of before, and no other thread is cancelling one. */
  dispose(): void {
    for (const queue of [this.out, this.in, this.answers]) queue.dispose();
  }
}

/** In a function: sends to the host what the peer is to have, and receives from it. Notes what the thread has to do. */
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

/** In a function that exchanges by device: sends to the host the first value of what it sent, for then it is computed. */
export function hostNotices({ out }: HostQueues, actions: HostAction[]): Notices {
  return {
    tell(tensor, place) {
      actions.push({ kind: 'tell', place, shape: tensor.shape });
      const first = tensor.shape.map(() => 1);
      out.send(
        tf.slice(
          tensor,
          tensor.shape.map(() => 0),
          first,
        ),
      );
    },
    hear(shape, place) {
      actions.push({ kind: 'hear', place, shape });
    },
  };
}

/** In a function: the hooks that send answers to the host. */
export function recordHooks({ answers }: HostQueues, actions: HostAction[], exchanger: Exchanger): PassHooks {
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
 * Beside a function: does what was noted when it was recorded.
 * @param hooks what is done with the answers.
 */
export function serve(
  actions: readonly HostAction[],
  queues: HostQueues,
  step: number,
  transport: Transport | undefined,
  hooks: Pick<PassHooks, 'onForward' | 'onGradients'>,
): void {
  const { out, in: given, answers, dtype } = queues;
  let taken: QueuedTensor | undefined;
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
        const next = isLent ? sentNext(actions[i + 1], queues) : undefined;
        taken = transport!.receive({ shape, dtype }, { ...place, step }, (bytes) => {
          given.putBytes(shape, bytes, next === undefined);
          return next?.take();
        });
        break;
      }
      case 'tell':
        take(out).dispose();
        tell(transport!, action.shape, { ...action.place, step });
        break;
      case 'hear':
        hear(transport!, action.shape, { ...action.place, step });
        break;
      case 'forward': {
        if (!action.hasLoss) hooks.onForward();
        else hooks.onForward(take(answers).toTensor() as tf.Scalar, take(answers).toTensor() as tf.Tensor2D);
        break;
      }
      case 'gradients':
        hooks.onGradients(take(answers).toTensor() as tf.Scalar);
    }
  }
}

/** The queue in which an action finds what the function sent, if it takes something at once. */
function sentNext(action: HostAction | undefined, { out, answers }: HostQueues): TensorQueue | undefined {
  if (action?.kind === 'send') return out;
  return action?.kind === 'gradients' || (action?.kind === 'forward' && action.hasLoss) ? answers : undefined;
}

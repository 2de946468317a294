/** What goes on in a tower's thread while its step runs as one function: what the function hands out is sent, and so on. */
import type * as tf from '@tensorflow/tfjs';
import type { Exchanger, Place } from '../exchange/index.js';
import type { Passage } from '../native/graph/host-queue.js';

/** What a step has to do with others on its way. */
export interface OnTheWay {
  /** To the peer; not asked of the whole net. */
  transport: Exchanger | undefined;
  /**
   * Is called when the pass has turned: of the whole net, which is in one piece, after all of it.
   * @param loss scalar, and @param logits [B, K], where this part has the last layer; not to be kept.
   */
  turn(loss?: tf.Scalar, logits?: tf.Tensor2D): void;
}

/** What the work beside a tower's function does next. */
export type Action =
  | { kind: 'send'; place: Omit<Place, 'step'> }
  | { kind: 'receive'; place: Omit<Place, 'step'>; shape: readonly number[] }
  /** With a loss and logits, in the tower that has them. */
  | { kind: 'turn'; hasLoss: boolean }
  /** All has been computed. */
  | { kind: 'end' };

/** In the function: in the place of a transport, what leads to one; notes what is to be done there. */
export function recorder(passage: Passage, actions: Action[]): Exchanger {
  const receive: Exchanger['receive'] = (shape, { site, direction }) => {
    actions.push({ kind: 'receive', place: { site, direction }, shape });
    return passage.in(shape);
  };
  return {
    send(tensor, { site, direction }) {
      actions.push({ kind: 'send', place: { site, direction } });
      passage.out(tensor);
    },
    receive,
    receiveFor: (shape, place, compute) => compute(receive(shape, place)),
  };
}

/** Beside the function: sends and receives what it is about. */
export function accompany(
  actions: readonly Action[],
  passage: Passage,
  step: number,
  { transport, turn }: OnTheWay,
): void {
  let taken: tf.Tensor | undefined;
  const take = (): tf.Tensor => {
    const next = taken ?? passage.take();
    taken = undefined;
    return next;
  };
  for (const [i, action] of actions.entries()) {
    switch (action.kind) {
      case 'send': {
        const tensor = take();
        transport!.send(tensor, { ...action.place, step });
        tensor.dispose();
        break;
      }
      case 'receive': {
        const place = { ...action.place, step };
        const next = actions[i + 1]!;
        if (next.kind === 'receive' || (next.kind === 'turn' && !next.hasLoss)) {
          const peer = transport!.receive(action.shape, place);
          passage.give(peer);
          peer.dispose();
          break;
        }
        // The message lies where it is until the function has handed out what it computed with it.
        taken = transport!.receiveFor(action.shape, place, (peer) => {
          passage.give(peer);
          return passage.take();
        });
        break;
      }
      case 'turn': {
        if (!action.hasLoss) turn();
        else turn(take() as tf.Scalar, take() as tf.Tensor2D);
        break;
      }
      case 'end':
        take();
    }
  }
}

/** One pass through a tower's part of the net: forward, and backward where gradients are wanted. */
import tf = require('@tensorflow/tfjs');

import { allGather, type Exchanger } from '../exchange/index.js';
import {
  type Captured,
  type Gather,
  type Run,
  referenceForward,
  type TowerOutput,
  towerForward,
} from '../model/forward.js';
import { maskOf, maskSeed } from '../model/init.js';
import type { Net, TowerIndex } from '../model/net.js';
import type { Ops } from '../model/ops.js';
import { tensorFrom } from '../native/binding/tensors.js';
import { halfSquares } from '../native/layers/layer-ops.js';
import { statelessUniform } from '../native/layers/stateless-random.js';
import type { Part } from './protocol.js';

/** What a tower runs passes of. */
export interface PartOptions {
  net: Net;
  part: Part;
  ops: Ops;
  /** Names of the part's parameters, in order. */
  names: readonly string[];
}

/** Which pass. */
export interface PassKind {
  /** With dropout, and with gradients. */
  training: boolean;
  /** Whether inputs of sites and activations of layers are returned too. */
  keep: boolean;
}

/** What a pass reads; all of it stays the caller's. */
export interface PassInputs {
  /** float32 [B, S, S, C] */
  images: tf.Tensor4D;
  /** int32 [B] */
  labels: tf.Tensor1D;
  /** One int32 [2] for each of {@link NetPart.dropouts}; none without training. */
  seeds: readonly tf.Tensor[];
  /** In the order of their names. */
  parameters: readonly tf.Tensor[];
}

/** What a pass does beside computing, in the order in which it comes about. */
export interface PassHooks {
  /** To the peer; there is none for the whole net. */
  exchanger: Exchanger | undefined;
  /** The forward pass is over. @param loss scalar, and @param logits [B, K], where this part has the last layer; not to be kept. */
  onForward(loss?: tf.Scalar, logits?: tf.Tensor2D): void;
  /** All gradients are there. @param squares `halfSquares` of them; not to be kept. */
  onGradients(squares: tf.Scalar): void;
}

/** What a pass returns; the caller's. */
export interface PassResult {
  /** Mean cross-entropy, or, in the tower without the last layer, a 0. */
  value: tf.Scalar;
  /** [B, K], in the tower with the last layer. */
  logits: tf.Tensor2D | undefined;
  /** In the order of the parameters; none without training. */
  gradients: tf.Tensor[];
  captured: Captured[];
}

/** A tower's part of the net, or all of it. */
export class NetPart {
  readonly options: PartOptions;
  /** Its dropout layers, each once for each tower that it has of it. */
  readonly dropouts: readonly { layer: string; tower: TowerIndex; keep: number }[];
  /** Whether its passes end with the loss. */
  readonly hasLast: boolean;

  constructor(options: PartOptions) {
    const { net, part } = options;
    this.options = options;
    this.hasLast = part === 'whole' || net.layers.at(-1)!.towers.includes(part);
    this.dropouts = net.layers.flatMap((layer) => {
      if (layer.kind !== 'dropout') return [];
      const towers = layer.towers.filter((tower) => part === 'whole' || tower === part);
      return towers.map((tower) => ({ layer: layer.name, tower, keep: layer.keep }));
    });
  }

  /** Seeds of a step's dropout masks, int32 [2] each; the caller's. */
  seeds(seed: number, step: number): tf.Tensor[] {
    return this.dropouts.map(({ layer, tower }) => {
      return tensorFrom([2], Int32Array.from(maskSeed({ seed, layer, tower, step })));
    });
  }

  /** Runs a pass: op by op, or into a function that is recorded. */
  run(inputs: PassInputs, kind: PassKind, hooks: PassHooks): PassResult {
    const kept: tf.Tensor[] = [];
    /** A tape's scope would dispose of it. */
    const keep = <T extends tf.Tensor>(tensor: T): T => {
      const own = tf.keep(tensor.clone()) as T;
      kept.push(own);
      return own;
    };
    let logits: tf.Tensor2D | undefined;
    const captured: Captured[] = [];
    const forward = (...parameters: tf.Tensor[]): tf.Scalar => {
      const capture = kind.keep ? (each: Captured) => captured.push({ ...each, tensor: keep(each.tensor) }) : undefined;
      const end = this.#forward({ ...inputs, parameters }, kind.training, hooks, capture);
      if ('sent' in end) {
        hooks.onForward();
        return end.sent as tf.Scalar;
      }
      logits = keep(end.output as tf.Tensor2D);
      const loss = this.options.ops.crossEntropy(logits, inputs.labels);
      hooks.onForward(loss, logits);
      return loss;
    };
    const result = (value: tf.Scalar, gradients: tf.Tensor[]): PassResult => {
      const own = captured.map((each) => ({ ...each, tensor: each.tensor.clone() }));
      const found = { value, logits: logits?.clone(), gradients, captured: own };
      tf.dispose(kept);
      return found;
    };
    try {
      if (!kind.training) return result(forward(...inputs.parameters), []);
      const { value, grads } = tf.valueAndGrads(forward)([...inputs.parameters]);
      hooks.onGradients(halfSquares(grads));
      return result(value as tf.Scalar, grads);
    } catch (error) {
      tf.dispose(kept);
      throw error;
    }
  }

  #forward(
    { images, seeds, parameters }: PassInputs,
    training: boolean,
    { exchanger }: PassHooks,
    capture: Run['capture'],
  ): TowerOutput {
    const { net, part, ops, names } = this.options;
    const run: Run = {
      ...{ ops, training },
      parameters: new Map(names.map((name, i) => [name, parameters[i]!])),
      mask: (layer, tower, batch, channels) => {
        const i = this.dropouts.findIndex((each) => each.layer === layer && each.tower === tower);
        return maskOf(statelessUniform([batch, channels], seeds[i]!), this.dropouts[i]!.keep);
      },
      ...(capture && { capture }),
    };
    if (part === 'whole') return { output: referenceForward(net, images, run) };
    const gather: Gather = (own, site) => allGather(own, site, part, exchanger!);
    return towerForward(net, part, images, gather, run);
  }
}

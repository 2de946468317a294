/**
 * A pass through a tower's part of the net: forward, and backward if gradients are wanted. It is ordinary tfjs code, which
 * runs op by op or is recorded into a TensorFlow function.
 */
import tf = require('@tensorflow/tfjs');

import { allGather, type Exchanger } from '../exchange/all-gather.js';
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
import { inScope, outOfScope } from '../native/graph/scope.js';
import { halfSquares, rowsFrom } from '../native/layers/layer-ops.js';
import { statelessUniform } from '../native/layers/stateless-random.js';
import type { Normalizer } from './normalize.js';
import { indexOf, type Part } from './protocol.js';
import { scopeOf } from './scopes.js';

export interface PartOptions {
  net: Net;
  part: Part;
  /** The tower's number, for the names of the ops. Default its part's. */
  tower?: number | undefined;
  /** Images of a step in all replicas together; undefined without others. */
  allImages?: number | undefined;
  ops: Ops;
  /** Names of the part's parameters, in order. */
  names: readonly string[];
  /** What makes the net's input of grey levels; undefined if the images are the input. */
  normalizer?: Normalizer | undefined;
  /** Those that are frozen: a pass has no gradients of them, and ends its backward pass above the last of them. */
  frozen?: ReadonlySet<string> | undefined;
}

export interface PassKind {
  /** With dropout and gradients. */
  training: boolean;
  /** Whether inputs of sites and activations of layers are returned too. */
  keep: boolean;
}

/** The inputs of a pass; they stay the caller's. */
export interface PassInputs {
  /** float32 [B, S, S, C]; with a normalizer uint8 [B, S, S, c]. */
  images: tf.Tensor4D;
  /** For training, with a normalizer that has noise: float32 [B, 4]. */
  noise?: tf.Tensor2D | undefined;
  /** int32 [B] */
  labels: tf.Tensor1D;
  /** One int32 [2] for each of {@link NetPart.dropouts}; none without training. */
  seeds: readonly tf.Tensor[];
  /** For training with several replicas. */
  share?: Share | undefined;
  parameters: readonly tf.Tensor[];
}

/** What a replica has of a step, as inputs, because it differs at the end of an epoch. */
export interface Share {
  /** int32 [2]: the first row of the dropout masks of all replicas, and 0. */
  begin: tf.Tensor1D;
  /** The part of the step's images, a scalar. It multiplies the loss that is differentiated, so that gradients add up. */
  weight: tf.Scalar;
}

/** What a pass calls on its way, in this order. The tensors are valid during the call only. */
export interface PassHooks {
  /** Connects the pass to the peer; undefined for the whole net. */
  exchanger: Exchanger | undefined;
  /** After the forward pass. @param loss scalar and @param logits [B, K], if this part has the last layer. */
  onForward(loss?: tf.Scalar, logits?: tf.Tensor2D): void;
  /** Sums the gradients over the replicas; undefined without others. */
  average?: ((gradients: tf.Tensor[]) => tf.Tensor[]) | undefined;
  /** After the backward pass. @param squares `halfSquares` of all gradients. */
  onGradients(squares: tf.Scalar): void;
}

/** The results of a pass; the caller disposes them. */
export interface PassResult {
  /** Mean cross-entropy; 0 in the tower without the last layer. */
  value: tf.Scalar;
  /** [B, K], in the tower with the last layer. */
  logits: tf.Tensor2D | undefined;
  /** In the order of the parameters without the frozen ones, of the mean loss of all replicas; none without training. */
  gradients: tf.Tensor[];
  captured: Captured[];
}

export class NetPart {
  readonly options: PartOptions;
  /** The dropout layers, once for each tower in this part. */
  readonly dropouts: readonly { layer: string; tower: TowerIndex; keep: number }[];
  /** Whether the passes end with the loss. */
  readonly hasLast: boolean;
  readonly #tower: number;

  constructor(options: PartOptions) {
    const { net, part, tower = indexOf(part) } = options;
    this.#tower = tower;
    this.options = options;
    this.hasLast = part === 'whole' || net.layers.at(-1)!.towers.includes(part);
    this.dropouts = net.layers.flatMap((layer) => {
      if (layer.kind !== 'dropout') return [];
      const towers = layer.towers.filter((tower) => part === 'whole' || tower === part);
      return towers.map((tower) => ({ layer: layer.name, tower, keep: layer.keep }));
    });
  }

  /** The seeds of a step's dropout masks, int32 [2] each; the caller disposes them. */
  seeds(seed: number, step: number): tf.Tensor[] {
    return this.dropouts.map(({ layer, tower }) => {
      return tensorFrom([2], Int32Array.from(maskSeed({ seed, layer, tower, step })));
    });
  }

  run({ noise, ...given }: PassInputs, { training, keep }: PassKind, hooks: PassHooks): PassResult {
    const { normalizer } = this.options;
    const images = normalizer ? this.#within('images', () => normalizer.apply(given.images, noise)) : given.images;
    const inputs = { ...given, images };
    const kept: tf.Tensor[] = [];
    /** Protects a tensor from the scope of tfjs's tape, which would dispose it. */
    const protect = <T extends tf.Tensor>(tensor: T): T => {
      kept.push(tf.keep(tensor.clone()));
      return kept.at(-1) as T;
    };
    let logits: tf.Tensor2D | undefined;
    const losses: tf.Scalar[] = [];
    const captured: Captured[] = [];
    const { names, frozen = new Set() } = this.options;
    const isTrained = (_: unknown, i: number) => !frozen.has(names[i]!);
    const trained = inputs.parameters.filter(isTrained);
    /** @param values of the parameters that are trained. */
    const forward = (...values: tf.Tensor[]): tf.Scalar => {
      const left = [...values];
      const parameters = inputs.parameters.map((each, i) => (isTrained(each, i) ? left.shift()! : each));
      const capture = (each: Captured) => captured.push({ ...each, tensor: protect(each.tensor) });
      const end = this.#forward({ ...inputs, parameters }, training, hooks, keep ? capture : undefined);
      if ('sent' in end) {
        hooks.onForward();
        return end.sent as tf.Scalar;
      }
      logits = protect(end.output as tf.Tensor2D);
      const output = logits;
      const { share, labels } = inputs;
      const own = this.#within('loss', () => this.options.ops.crossEntropy(output, labels));
      losses.push(protect(own));
      hooks.onForward(own, logits);
      return share ? this.#within('loss', () => tf.mul(own, share.weight)) : own;
    };
    try {
      let value: tf.Scalar;
      let gradients: tf.Tensor[] = [];
      if (training) {
        // The sums of gradients, and what else tfjs computes between the layers' own gradients.
        const between = scopeOf(this.#tower, 'gradients', 'backward', 'backward');
        const differentiated = tf.valueAndGrads((...all) => outOfScope(() => forward(...all)));
        // A tower whose parameters are all frozen has nothing to differentiate.
        const found =
          trained.length > 0 ? inScope(between, () => differentiated(trained)) : { value: forward(), grads: [] };
        [value, gradients] = [found.value as tf.Scalar, found.grads];
        const { average } = hooks;
        if (average) {
          const own = gradients;
          gradients = inScope(scopeOf(this.#tower, 'average', 'exchange', 'exchange'), () => average(own));
          tf.dispose(own);
        }
        hooks.onGradients(inScope(between, () => halfSquares(gradients)));
      } else {
        value = forward(...trained);
      }
      const own = captured.map((each) => ({ ...each, tensor: each.tensor.clone() }));
      return { value: losses[0]?.clone() ?? value, logits: logits?.clone(), gradients, captured: own };
    } finally {
      tf.dispose(kept);
      if (normalizer) images.dispose();
    }
  }

  #within<T>(layer: string, action: () => T): T {
    return inScope(scopeOf(this.#tower, layer, 'forward', 'backward'), action);
  }

  #forward(
    { images, seeds, share, parameters }: PassInputs,
    training: boolean,
    { exchanger }: PassHooks,
    capture: Run['capture'],
  ): TowerOutput {
    const { net, part, ops, names, allImages = 0 } = this.options;
    const run: Run = {
      ...{ ops, training },
      parameters: new Map(names.map((name, i) => [name, parameters[i]!])),
      mask: (layer, tower, batch, channels) => {
        const i = this.dropouts.findIndex((each) => each.layer === layer && each.tower === tower);
        // A row of the numbers does not depend on how many rows follow it.
        const drawn = statelessUniform([share ? allImages : batch, channels], seeds[i]!);
        return maskOf(share ? rowsFrom(drawn, share.begin, batch) : drawn, this.dropouts[i]!.keep);
      },
      within: (layer, action) => this.#within(layer, action),
      ...(capture && { capture }),
    };
    if (part === 'whole') return { output: referenceForward(net, images, run) };
    const gather: Gather = (own, site) =>
      inScope(scopeOf(this.#tower, site.name, 'exchange', 'exchange'), () => allGather(own, site, part, exchanger!));
    return towerForward(net, part, images, gather, run);
  }
}

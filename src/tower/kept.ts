/** What a step leaves for a comparison. */
import tf = require('@tensorflow/tfjs');

import type { Captured } from '../model/forward.js';
import type { Parameter } from '../model/net.js';
import type { TensorInfo, TensorKind } from './protocol.js';

interface Kept extends TensorInfo {
  tensor: tf.Tensor;
}

/** Activations and gradients of a step that was asked to keep them. */
export class KeptTensors {
  #kept: Kept[] = [];

  get described(): TensorInfo[] {
    return this.#kept.map(({ name, layer, kind, shape }) => ({ name, layer, kind, shape }));
  }

  /**
   * Takes over the tensors.
   * @param gradients one for each of the parameters; listed in the order in which they come about, backward.
   */
  keep(captured: readonly Captured[], gradients: readonly tf.Tensor[], parameters: readonly Parameter[]): void {
    const activations = captured.map((each): Kept => ({ ...each, shape: each.tensor.shape }));
    const backward = parameters
      .map(({ name, layer }, i): Kept => {
        const tensor = gradients[i]!;
        return { name, layer, kind: 'gradient', tensor, shape: tensor.shape };
      })
      .reverse();
    this.#kept = [...activations, ...backward];
  }

  /** Stays here. @throws Error when it is not there. */
  find(kind: TensorKind, name: string): tf.Tensor {
    const found = this.#kept.find((each) => each.kind === kind && each.name === name);
    if (!found) throw new Error(`this tower has kept no ${kind} ${name}`);
    return found.tensor;
  }

  clear(): void {
    tf.dispose(this.#kept.map(({ tensor }) => tensor));
    this.#kept = [];
  }
}

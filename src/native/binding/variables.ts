/** Parameters as TensorFlow resource variables: they stay on the device, and one op updates them in place. */
import tf = require('@tensorflow/tfjs');

import { attr, type OpAttr } from '../c/attributes.js';
import { DataType } from '../c/signatures.js';
import { currentBinding, tensorId, tensorOf } from './backend.js';

/** TensorFlow's `ResourceHandle::ANONYMOUS_NAME`: no two variables share it, and the last handle frees the variable. */
const ANONYMOUS = 'cd2c89b7-88b7-44c8-ad83-06c2a9158347';

const DTYPE = attr.type('dtype', DataType.FLOAT);

/** A float32 variable on this thread's device. */
export class Variable {
  readonly shape: readonly number[];
  /** Id of the variable's handle, for ops that take the resource. */
  readonly handle: number;

  /** @param initial is copied or shared; it stays the caller's. */
  constructor(initial: tf.Tensor) {
    this.shape = initial.shape;
    const names = [attr.string('container', ''), attr.string('shared_name', ANONYMOUS)];
    const attrs = [...names, DTYPE, attr.shape('shape', [...initial.shape])];
    this.handle = currentBinding().executeOp('VarHandleOp', attrs, [], 1)[0]!.id;
    currentBinding().noteShape(this.handle, initial.shape);
    this.assign(initial);
  }

  /**
   * The value as it is now; the caller's. It shares the variable's memory: dispose of it before the next update, or
   * TensorFlow copies the variable first.
   */
  read(): tf.Tensor {
    return tensorOf(currentBinding().executeOp('ReadVariableOp', [DTYPE], [this.handle], 1)[0]!);
  }

  /** Replaces the value. @param value of the same shape; stays the caller's. */
  assign(value: tf.Tensor): void {
    currentBinding().executeOp('AssignVariableOp', [DTYPE], [this.handle, tensorId(value)], 0);
  }

  dispose(): void {
    currentBinding().deleteTensor(this.handle);
  }
}

export interface UpdateRates {
  learningRate: number;
  momentum: number;
  weightDecay: number;
}

/** The scalars of an update; variables with the same learning rate can share them. */
export interface UpdateScalars {
  rate: tf.Tensor;
  /** The factor of the weights that are subtracted as decay; undefined without a decay. */
  decay: tf.Tensor | undefined;
  /** 0 if there are no velocities. */
  momentum: number;
}

/**
 * The scalars of an update; the caller's (or `tf.tidy`'s).
 * @param input the learning rate as an input of a compiled function, if the update is in one.
 */
export function updateScalars({ learningRate, momentum, weightDecay }: UpdateRates, input?: tf.Tensor): UpdateScalars {
  // The decay is added to the velocity before the momentum multiplies it, so it is divided by the momentum.
  const decayAt = (rate: number) => (momentum > 0 ? (rate * weightDecay) / momentum : rate * weightDecay);
  const rate = input ?? tf.scalar(learningRate);
  if (weightDecay === 0) return { rate, momentum, decay: undefined };
  return { rate, momentum, decay: input ? tf.mul(input, decayAt(1)) : tf.scalar(decayAt(learningRate)) };
}

/**
 * One step of gradient descent with momentum and weight decay, in place (paper §5):
 * v ← momentum · v − weightDecay · learningRate · w − learningRate · g, w ← w + v.
 * To be called in `tf.tidy`, or in a compiled function.
 * @param velocity v; without it momentum has to be 0.
 * @param gradient g, without the decay; stays the caller's.
 */
export function descend(
  variable: Variable,
  velocity: Variable | undefined,
  gradient: tf.Tensor,
  { rate, decay, momentum }: UpdateScalars,
): void {
  const attrs = [attr.type('T', DataType.FLOAT), attr.bool('use_locking', false)];
  const run = (op: string, more: OpAttr[], inputs: number[]) =>
    currentBinding().executeOp(op, [...attrs, ...more], inputs, 0);
  const moved = velocity && momentum > 0 ? velocity : variable;
  if (decay) {
    const value = variable.read();
    run('ResourceApplyGradientDescent', [], [moved.handle, tensorId(decay), tensorId(value)]);
    value.dispose(); // before the update of the variable, which would copy it otherwise
  }
  const [lr, g] = [tensorId(rate), tensorId(gradient)];
  if (moved === variable) {
    run('ResourceApplyGradientDescent', [], [variable.handle, lr, g]);
  } else {
    const inputs = [variable.handle, moved.handle, lr, g, tensorId(tf.scalar(momentum))];
    run('ResourceApplyKerasMomentum', [attr.bool('use_nesterov', false)], inputs);
  }
}

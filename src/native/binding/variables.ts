/** Parameters as TensorFlow resource variables: they stay on the device, and one op updates them in place. */
import tf = require('@tensorflow/tfjs');

import type { OpAttr } from '../c/attributes.js';
import { AttrType, DataType } from '../c/signatures.js';
import { currentBinding, tensorId, tensorOf } from './backend.js';

/** TensorFlow's `ResourceHandle::ANONYMOUS_NAME`: no two variables share it, and the last handle frees the variable. */
const ANONYMOUS = 'cd2c89b7-88b7-44c8-ad83-06c2a9158347';

const FLOAT = { name: 'T', type: AttrType.TYPE, value: DataType.FLOAT };
const DTYPE = { name: 'dtype', type: AttrType.TYPE, value: DataType.FLOAT };

/** A float32 variable on this thread's device. */
export class Variable {
  readonly shape: readonly number[];
  readonly #handle: number;

  /** @param initial is copied or shared; it stays the caller's. */
  constructor(initial: tf.Tensor) {
    this.shape = initial.shape;
    const attrs = [
      { name: 'container', type: AttrType.STRING, value: '' },
      { name: 'shared_name', type: AttrType.STRING, value: ANONYMOUS },
      DTYPE,
      { name: 'shape', type: AttrType.SHAPE, value: [...initial.shape] },
    ];
    this.#handle = currentBinding().executeOp('VarHandleOp', attrs, [], 1)[0]!.id;
    currentBinding().noteShape(this.#handle, initial.shape);
    this.assign(initial);
  }

  /** Id of the variable's handle, for ops that take the resource. */
  get handle(): number {
    return this.#handle;
  }

  /**
   * The value as it is now; the caller's. It shares the variable's memory, so dispose of it before the next update, or
   * TensorFlow copies the variable first.
   */
  read(): tf.Tensor {
    return tensorOf(currentBinding().executeOp('ReadVariableOp', [DTYPE], [this.#handle], 1)[0]!);
  }

  /** Replaces the value. @param value of the same shape; stays the caller's. */
  assign(value: tf.Tensor): void {
    currentBinding().executeOp('AssignVariableOp', [DTYPE], [this.#handle, tensorId(value)], 0);
  }

  dispose(): void {
    currentBinding().deleteTensor(this.#handle);
  }
}

/** Rates of one update. */
export interface UpdateRates {
  learningRate: number;
  momentum: number;
  weightDecay: number;
}

/**
 * One step of gradient descent with momentum and weight decay, in place (paper §5):
 * v ← momentum · v − weightDecay · learningRate · w − learningRate · g, w ← w + v.
 * @param velocity v; without it momentum has to be 0.
 * @param gradient g, without the decay; stays the caller's.
 */
export function descend(
  variable: Variable,
  velocity: Variable | undefined,
  gradient: tf.Tensor,
  { learningRate, momentum, weightDecay }: UpdateRates,
): void {
  const decay = learningRate * weightDecay;
  const g = tensorId(gradient);
  if (!velocity || momentum === 0) {
    if (decay !== 0) withValue(variable, (w) => subtract(variable, decay, w));
    subtract(variable, learningRate, g);
    return;
  }
  // The decay goes into the velocity before it is multiplied by the momentum, hence the division.
  if (decay !== 0) withValue(variable, (w) => subtract(velocity, decay / momentum, w));
  const attrs = [
    FLOAT,
    { name: 'use_locking', type: AttrType.BOOL, value: false },
    { name: 'use_nesterov', type: AttrType.BOOL, value: false },
  ];
  withScalars([learningRate, momentum], ([rate, factor]) => {
    const inputs = [variable.handle, velocity.handle, rate!, g, factor!];
    currentBinding().executeOp('ResourceApplyKerasMomentum', attrs, inputs, 0);
  });
}

/** The scalars of an update within a compiled function; those that share a learning rate can share them. */
export interface UpdateScalars {
  /** The learning rate, an input of the function. */
  rate: tf.Tensor;
  /** What the decay is multiplied by before it goes into the velocity or, without momentum, the variable; if any. */
  decay: tf.Tensor | undefined;
  /** 0 where there are no velocities. */
  momentum: number;
}

/** @param rate scalar, an input of the function. */
export function updateScalars(
  rate: tf.Tensor,
  { momentum, weightDecay }: Omit<UpdateRates, 'learningRate'>,
): UpdateScalars {
  const factor = momentum > 0 ? weightDecay / momentum : weightDecay;
  return { rate, momentum, decay: weightDecay === 0 ? undefined : tf.mul(rate, factor) };
}

/** The same step as {@link descend}'s within a compiled function: the rate is a tensor. @param velocity with momentum. */
export function descendIn(
  variable: Variable,
  velocity: Variable | undefined,
  gradient: tf.Tensor,
  { rate, decay, momentum }: UpdateScalars,
): void {
  const run = (op: string, attrs: OpAttr[], ids: number[]) => currentBinding().executeOp(op, attrs, ids, 0);
  const locking = { name: 'use_locking', type: AttrType.BOOL, value: false };
  const [lr, g] = [tensorId(rate), tensorId(gradient)];
  const decayed = velocity && momentum > 0 ? velocity : variable;
  if (decay) {
    const value = tensorId(variable.read());
    run('ResourceApplyGradientDescent', [FLOAT, locking], [decayed.handle, tensorId(decay), value]);
  }
  if (decayed === variable) {
    run('ResourceApplyGradientDescent', [FLOAT, locking], [variable.handle, lr, g]);
    return;
  }
  const attrs = [FLOAT, locking, { name: 'use_nesterov', type: AttrType.BOOL, value: false }];
  const inputs = [variable.handle, decayed.handle, lr, g, tensorId(tf.scalar(momentum))];
  run('ResourceApplyKerasMomentum', attrs, inputs);
}

/** variable ← variable − factor · value. */
function subtract(variable: Variable, factor: number, value: number): void {
  const attrs = [FLOAT, { name: 'use_locking', type: AttrType.BOOL, value: false }];
  withScalars([factor], ([scalar]) => {
    currentBinding().executeOp('ResourceApplyGradientDescent', attrs, [variable.handle, scalar!, value], 0);
  });
}

function withValue(variable: Variable, use: (id: number) => void): void {
  const value = variable.read();
  try {
    use(tensorId(value));
  } finally {
    value.dispose();
  }
}

function withScalars(values: readonly number[], use: (ids: number[]) => void): void {
  const scalars = values.map((value) => tf.scalar(value));
  try {
    use(scalars.map(tensorId));
  } finally {
    tf.dispose(scalars);
  }
}

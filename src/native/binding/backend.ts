/** tfjs on a chosen device, for the thread that asks. */
import './node-shim.js';

import tf = require('@tensorflow/tfjs');

import { NodeJSKernelBackend } from '@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js';
import type { TFJSBinding } from '@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js';
import '@tensorflow/tfjs-node-gpu/dist/register_all_kernels.js';
import type { OpAttr } from '../c/attributes.js';
import { type ContextOptions, openContext } from '../c/context.js';
import { PinnedBinding, type TensorMetadata } from './binding.js';
import { mendKernels } from './kernels.js';

/** tfjs-node's registered name; its kernels look themselves up under it. */
const BACKEND = 'tensorflow';
mendKernels(BACKEND);

interface Pinned {
  binding: PinnedBinding;
  backend: NodeJSKernelBackend;
  /** What another binding may stand in the place of. */
  readonly own: { binding: PinnedBinding; getIds: GetIds };
}

type GetIds = (tensors: tf.Tensor[]) => number[];

let pinned: Pinned | undefined;

/**
 * Pins tfjs, in this thread, to one device: every tensor it makes and every op it runs from now on is there. Two worker
 * threads can each have their own. A second call in a thread moves to the new device: tensors made before stay valid, and
 * the first op that takes one copies it there.
 * @param name `CPU:0`, `GPU:1`, …: one of {@link listDevices}.
 * @param options how to make the process's context, when this is the first call of the process that needs it.
 * @throws SetupError without a TensorFlow library; NativeError when there is no such device.
 */
export function useDevice(name: string, options: ContextOptions = {}): void {
  const binding = new PinnedBinding(openContext(options), name);
  if (pinned) tf.removeBackend(BACKEND);
  const backend = new NodeJSKernelBackend(binding as unknown as TFJSBinding, '@tensorflow/tfjs-node-gpu');
  pinned = { binding, backend, own: { binding, getIds: inner(backend).getInputTensorIds.bind(backend) } };
  tf.registerBackend(BACKEND, () => backend, 3);
  tf.setBackend(BACKEND);
}

/** The binding of this thread. @throws when {@link useDevice} was not called in it. */
export function currentBinding(): PinnedBinding {
  return current().binding;
}

/** The binding of this thread, also when another one stands in its place. */
export function ownBinding(): PinnedBinding {
  return current().own.binding;
}

/** Gives the ids of tensors in the binding that is in use. */
type Resolve = (tensor: tf.Tensor, own: (tensor: tf.Tensor) => number) => number;

/**
 * Runs `action` with another binding in the place of this thread's, which is back afterwards, whatever happens.
 * @param resolve finds a tensor's id there; `own` gives the one that it has here, and uploads it.
 */
export function withBinding<R>(replaced: PinnedBinding, resolve: Resolve, action: () => R): R {
  const { binding, backend } = current();
  const getIds = inner(backend).getInputTensorIds;
  const own = (tensor: tf.Tensor) => inPlace(binding, getIds, () => getIds.call(backend, [tensor])[0]!);
  return inPlace(replaced, (tensors) => tensors.map((tensor) => resolve(tensor, own)), action);
}

/** Runs `action` with this thread's own binding, in the midst of {@link withBinding}. */
export function withOwnBinding<R>(action: () => R): R {
  const { binding, getIds } = current().own;
  return inPlace(binding, getIds, action);
}

/** Runs `action` with a binding, and a way to its ids, in the place of those that are there and come back afterwards. */
function inPlace<R>(binding: PinnedBinding, getIds: GetIds, action: () => R): R {
  const state = current();
  const { binding: before, backend } = state;
  const ids = inner(backend);
  const { getInputTensorIds } = ids;
  const put = (each: PinnedBinding, get: GetIds) => {
    state.binding = each;
    backend.binding = each as unknown as TFJSBinding;
    ids.getInputTensorIds = get;
  };
  put(binding, getIds);
  try {
    return action();
  } finally {
    put(before, getInputTensorIds);
  }
}

/** What tfjs-node keeps private; uploading on first use is what it does before every op. */
function inner(backend: NodeJSKernelBackend): { getInputTensorIds: GetIds } {
  return backend as unknown as { getInputTensorIds: GetIds };
}

/**
 * Runs a TensorFlow op by name on this thread's device, outside tfjs's tape (wrap in `tf.customGrad` for a gradient).
 * @returns its outputs, the caller's to dispose of (or `tf.tidy`'s).
 * @throws NativeError with TensorFlow's code and text and the op's name.
 */
export function runOp(name: string, inputs: tf.Tensor[], attrs: OpAttr[], numOutputs = 1): tf.Tensor[] {
  return current().backend.executeMultipleOutputs(name, attrs, inputs, numOutputs);
}

/** The tensor's id in this thread's binding; uploads values that tfjs still holds. */
export function tensorId(tensor: tf.Tensor): number {
  return inner(current().backend).getInputTensorIds([tensor])[0]!;
}

/** A tensor out of what the binding returned; the caller's to dispose of (or `tf.tidy`'s). */
export function tensorOf(metadata: TensorMetadata): tf.Tensor {
  return (current().backend as unknown as { createOutputTensor(m: TensorMetadata): tf.Tensor }).createOutputTensor(
    metadata,
  );
}

/** The device whose memory holds the tensor, as TensorFlow reports it. */
export function backingDevice(tensor: tf.Tensor): string {
  return current().binding.backingDevice(tensorId(tensor));
}

function current() {
  if (!pinned) throw new Error('Cannot run tfjs here: useDevice() was not called in this thread; call it first');
  return pinned;
}

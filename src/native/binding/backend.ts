/** Pins tfjs to a device, for the calling thread. */
import './node-shim.js';
import { refuseSecondTfjs } from './one-tfjs.js';

import tf = require('@tensorflow/tfjs');

import { NodeJSKernelBackend } from '@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js';
import type { TFJSBinding } from '@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js';
import '@tensorflow/tfjs-node-gpu/dist/register_all_kernels.js';
import type { OpAttr } from '../c/attributes.js';
import { type ContextOptions, openContext } from '../c/context.js';
import { PinnedBinding, type TensorMetadata } from './binding.js';
import { correctKernels } from './kernels.js';

/** The name under which tfjs-node registers its kernels. */
const BACKEND = 'tensorflow';
correctKernels(BACKEND);

type GetIds = (tensors: tf.Tensor[]) => number[];

interface Bound {
  binding: PinnedBinding;
  getIds: GetIds;
}

/** `own` is the thread's own, while {@link withBinding} replaces it by `bound`. */
let pinned: { backend: NodeJSKernelBackend; own: Bound; bound: Bound } | undefined;

/**
 * Pins tfjs in this thread to one device: from now on every tensor and every op is there. Each worker thread can have its
 * own device. A second call moves the thread to another device: earlier tensors stay valid, and the first op that reads
 * one copies it.
 * @param name `CPU:0`, `GPU:1`, …: one of {@link listDevices}.
 * @param options how to make the process's context, if this is the first call in the process that needs it.
 * @throws SetupError without a TensorFlow library, or if a second copy of tfjs is loaded; NativeError if there is no such device.
 */
export function useDevice(name: string, options: ContextOptions = {}): void {
  refuseSecondTfjs();
  const binding = new PinnedBinding(openContext(options), name);
  if (pinned) tf.removeBackend(BACKEND);
  const backend = new NodeJSKernelBackend(binding as unknown as TFJSBinding, '@tensorflow/tfjs-node-gpu');
  const own = { binding, getIds: inner(backend).getInputTensorIds.bind(backend) };
  pinned = { backend, own, bound: own };
  tf.registerBackend(BACKEND, () => backend, 3);
  tf.setBackend(BACKEND);
}

/** The binding that this thread uses now. @throws if {@link useDevice} was not called in it. */
export function currentBinding(): PinnedBinding {
  return current().bound.binding;
}

/** The binding of this thread's device, also while {@link withBinding} replaces it. */
export function ownBinding(): PinnedBinding {
  return current().own.binding;
}

type Resolve = (tensor: tf.Tensor, own: (tensor: tf.Tensor) => number) => number;

/**
 * Runs `action` with another binding instead of this thread's.
 * @param resolve finds a tensor's id in `replaced`; its `own` uploads the tensor and gives its id in the current binding.
 */
export function withBinding<R>(replaced: PinnedBinding, resolve: Resolve, action: () => R): R {
  const { bound } = current();
  const own = (tensor: tf.Tensor) => inPlace(bound, () => bound.getIds([tensor])[0]!);
  return inPlace({ binding: replaced, getIds: (tensors) => tensors.map((tensor) => resolve(tensor, own)) }, action);
}

/** Runs `action` with this thread's own binding, inside {@link withBinding}. */
export function withOwnBinding<R>(action: () => R): R {
  return inPlace(current().own, action);
}

function inPlace<R>(bound: Bound, action: () => R): R {
  const state = current();
  const before = state.bound;
  const set = (each: Bound) => {
    state.bound = each;
    state.backend.binding = each.binding as unknown as TFJSBinding;
    inner(state.backend).getInputTensorIds = each.getIds;
  };
  set(bound);
  try {
    return action();
  } finally {
    set(before);
  }
}

/** The private methods of tfjs-node. `getInputTensorIds` uploads values that tfjs still holds. */
function inner(backend: NodeJSKernelBackend) {
  return backend as unknown as { getInputTensorIds: GetIds; createOutputTensor(metadata: TensorMetadata): tf.Tensor };
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
  return current().bound.getIds([tensor])[0]!;
}

/** The tensor of a result of the binding; the caller's to dispose of (or `tf.tidy`'s). */
export function tensorOf(metadata: TensorMetadata): tf.Tensor {
  return inner(current().backend).createOutputTensor(metadata);
}

/** The device whose memory holds the tensor, as TensorFlow reports it; of a server `10.0.0.2:2222/GPU:0`. */
export function backingDevice(tensor: tf.Tensor): string {
  return currentBinding().backingDevice(tensorId(tensor));
}

function current() {
  if (!pinned) throw new Error('Cannot run tfjs here: useDevice() was not called in this thread; call it first');
  return pinned;
}

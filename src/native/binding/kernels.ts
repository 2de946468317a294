/**
 * Corrections of tfjs-node's kernels that give wrong values without an error. The faults are TensorFlow 2.21's or
 * tfjs-node 4.22.0's. The test that compares every kernel with tfjs's plain backend (`tfjs-core-differences`) found them.
 */
import tf = require('@tensorflow/tfjs');

import type { NodeJSKernelBackend } from '@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js';
import { NativeError } from '../../errors.js';
import { attr } from '../c/attributes.js';
import { DataType } from '../c/signatures.js';
import { Code } from '../c/status.js';

/** A call of a kernel: its inputs by name, as tfjs passes them. */
interface Call {
  inputs: Record<string, tf.Tensor>;
  // biome-ignore lint/suspicious/noExplicitAny: each kernel has attributes of its own
  attrs: any;
  backend: NodeJSKernelBackend;
}
type Kernel = (call: Call) => tf.TensorInfo | tf.TensorInfo[];

const CORRECTIONS: Record<string, (original: Kernel) => Kernel> = {
  /** TensorFlow rounds integers to 0: its formula adds 0.5 as an integer, which is 0, and takes the result for a tie. */
  Round: (original) => (call) => (call.inputs.x!.dtype === 'int32' ? tf.clone(call.inputs.x!) : original(call)),
  /** tfjs-node disposes of an int32 input, which is the caller's. */
  Exp: (original) => (call) => {
    const x = call.inputs.x!;
    if (x.dtype !== 'int32') return original(call);
    return tf.tidy(() => original({ ...call, inputs: { x: tf.cast(x, 'float32') } }) as tf.Tensor);
  },
  /** tfjs-node computes alpha (x - |x|) / 2, which is NaN for infinity and overflows if 2x does. */
  Prelu: () => (call) =>
    tf.tidy(() => {
      const [x, alpha] = [asFloat(call.inputs.x!), asFloat(call.inputs.alpha!)];
      return tf.where(tf.less(x, 0), tf.mul(alpha, x), x);
    }),
  TopK: nanFirst,
  ResizeBilinearGrad: () => (call) => resizeGradient('ResizeBilinearGrad', call, call.inputs.images!),
  ResizeNearestNeighborGrad: () => (call) =>
    tf.tidy(() => {
      const size = tf.tensor1d(call.inputs.images!.shape.slice(1, 3), 'int32');
      return resizeGradient('ResizeNearestNeighborGrad', call, size);
    }),
  Conv2D: (original) => emptyConvolution(original, convolved2d),
  FusedConv2D: (original) => emptyConvolution(original, convolved2d),
  Conv3D: (original) =>
    emptyConvolution(original, ({ inputs: { x, filter }, attrs: { strides, pad, dilations } }) =>
      tf.backend_util.computeConv3DInfo(shape5(x), shape5(filter), strides, dilations, pad),
    ),
  DepthwiseConv2dNative: (original) => channelsLast(emptyConvolution(original, convolvedByDepth)),
  FusedDepthwiseConv2D: (original) => channelsLast(emptyConvolution(original, convolvedByDepth)),
  DepthwiseConv2dNativeBackpropFilter: channelsLast,
  DepthwiseConv2dNativeBackpropInput: channelsLast,
};

/** @throws NativeError (INVALID_ARGUMENT) for complex numbers, because a cast would drop the imaginary part. */
function asFloat(tensor: tf.Tensor): tf.Tensor {
  if (tensor.dtype !== 'complex64') return tf.cast(tensor, 'float32');
  const reason = 'they have no order; give it real numbers';
  throw new NativeError(`Cannot run prelu on complex64 tensors: ${reason}`, Code.INVALID_ARGUMENT, 'Prelu');
}

/** Replaces tfjs-node's kernels, which have to be registered, by the corrected ones. To be called once in a thread. */
export function correctKernels(backendName: string): void {
  for (const [kernelName, correct] of Object.entries(CORRECTIONS)) {
    const config = tf.getKernel(kernelName, backendName);
    tf.unregisterKernel(kernelName, backendName);
    const kernelFunc = correct(config.kernelFunc as unknown as Kernel) as unknown as tf.KernelFunc;
    tf.registerKernel({ ...config, kernelFunc });
  }
}

/**
 * TensorFlow's TopKV2 does not order NaN: a NaN in a row makes it miss larger numbers. Here NaN counts as infinity, the
 * smaller index first, so it is in the result, as in NumPy and PyTorch.
 */
function nanFirst(original: Kernel): Kernel {
  return (call) => {
    const x = call.inputs.x!;
    if (x.dtype !== 'float32' || x.size === 0) return original(call);
    return tf.tidy(() => {
      const length = x.shape.at(-1)!;
      const rows = tf.reshape(x, [-1, length]);
      const ordered = tf.where(tf.isNaN(rows), Number.POSITIVE_INFINITY, rows);
      const [, indices] = original({ ...call, inputs: { x: ordered } }) as tf.Tensor[];
      const types = { Tparams: DataType.FLOAT, Tindices: DataType.INT32, Taxis: DataType.INT32 };
      const attrs = Object.entries(types).map(([name, type]) => attr.type(name, type));
      const inputs = [rows, indices!, tf.scalar(1, 'int32')];
      const values = call.backend.executeSingleOutput('GatherV2', [...attrs, attr.int('batch_dims', 1)], inputs);
      const shape = [...x.shape.slice(0, -1), indices!.shape.at(-1)!];
      return [tf.reshape(values, shape), tf.reshape(indices!, shape)];
    });
  };
}

/** tfjs-node leaves out `half_pixel_centers`, which gives the gradient of another way to resize. */
function resizeGradient(op: string, { inputs, attrs, backend }: Call, last: tf.Tensor): tf.Tensor {
  const all = [
    attr.type('T', DataType.FLOAT),
    attr.bool('align_corners', attrs.alignCorners),
    attr.bool('half_pixel_centers', attrs.halfPixelCenters),
  ];
  return backend.executeSingleOutput(op, all, [inputs.dy!, last]);
}

/** oneDNN gives a convolution of an empty batch or of empty images the shape of its input. */
function emptyConvolution(original: Kernel, geometry: (call: Call) => { outShape: number[] }): Kernel {
  return (call) => {
    if (call.inputs.x!.size > 0) return original(call);
    const { outShape } = geometry(call);
    return tf.util.sizeFromShape(outShape) > 0 ? original(call) : tf.zeros(outShape);
  };
}

function convolved2d({ inputs: { x, filter }, attrs }: Call) {
  const { strides, dilations, pad, dimRoundingMode, dataFormat } = attrs;
  const order = tf.backend_util.convertConv2DDataFormat(dataFormat);
  return tf.backend_util.computeConv2DInfo(shape4(x), shape4(filter), strides, dilations, pad, dimRoundingMode, false, order); // biome-ignore format: one call
}

function convolvedByDepth({ inputs: { x, filter }, attrs }: Call) {
  const { strides, dilations, pad, dimRoundingMode } = attrs;
  return tf.backend_util.computeConv2DInfo(shape4(x), shape4(filter), strides, dilations ?? 1, pad, dimRoundingMode, true); // biome-ignore format: one call
}

/** tfjs-node reads images in NCHW order as NHWC. @throws NativeError (UNIMPLEMENTED) for NCHW. */
function channelsLast(original: Kernel): Kernel {
  return (call) => {
    if (call.attrs.dataFormat !== 'NCHW') return original(call);
    const reason = 'only NHWC is supported; transpose them';
    const message = `Cannot run a depthwise convolution on images in NCHW order: ${reason}`;
    throw new NativeError(message, Code.UNIMPLEMENTED, 'DepthwiseConv2dNative');
  };
}

const shape4 = (tensor: tf.Tensor | undefined) => tensor!.shape as [number, number, number, number];
const shape5 = (tensor: tf.Tensor | undefined) => tensor!.shape as [number, number, number, number, number];

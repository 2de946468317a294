/** The net's operations as TensorFlow's own ops; those that it lacks are tfjs's. */
import { type Ops, padded, TFJS_OPS } from '../model/ops.js';
import { activate, conv2dBias, matMulBias, maxPool, softmaxCrossEntropy, zeroPad } from '../native/layers/layer-ops.js';
import { channelNorm, mapNorm } from '../native/layers/norm.js';
import { isWorthWinograd, WinogradConvolutions } from '../native/layers/winograd-conv.js';

/** The only power that the native norms have: the paper's (§3.3). */
const NATIVE_BETA = 0.75;

export interface NativeOps extends Ops {
  /** Frees what was compiled for them. */
  dispose(): void;
}

/** @param convolutions `auto`: by Winograd's algorithm if that is faster; `direct`: none. */
export function nativeOps(convolutions: 'auto' | 'direct'): NativeOps {
  const winograd = new WinogradConvolutions();
  return {
    ...TFJS_OPS,
    conv(x, kernel, bias, layer) {
      const { input, mode } = padded(x, layer, zeroPad);
      const isPlain = mode === 'same' && layer.stride === 1;
      const isWinograd = convolutions === 'auto' && isPlain && isWorthWinograd(x.shape, kernel.shape);
      return isWinograd ? winograd.conv(x, kernel, bias) : conv2dBias(input, kernel, bias, layer.stride, mode);
    },
    dense: matMulBias,
    activation: activate,
    pool: (x, layer) => (layer.op === 'max' ? maxPool(x, layer.size, layer.stride) : TFJS_OPS.pool(x, layer)),
    norm: (x, layer) => (layer.beta === NATIVE_BETA ? channelNorm(x, layer.radius, layer) : TFJS_OPS.norm(x, layer)),
    mapNorm: (x, layer) =>
      layer.beta === NATIVE_BETA && layer.size % 2 === 1 ? mapNorm(x, layer.size, layer) : TFJS_OPS.mapNorm(x, layer),
    crossEntropy: softmaxCrossEntropy,
    dispose: () => winograd.dispose(),
  };
}

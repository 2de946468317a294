/**
 * Pins tfjs to a device of your choice: the public API of `alexnet-split/native`.
 * @example
 * import { listDevices, useDevice } from 'alexnet-split/native';
 * import * as tf from '@tensorflow/tfjs';
 * useDevice('GPU:1'); // in this thread only; importing this module registers `file://` for tfjs's models
 * const product = tf.matMul(tf.ones([2, 2]), tf.ones([2, 2]));
 */

import { registerFiles } from './binding/model-files.js';

registerFiles();

export { NativeError, SetupError } from '../errors.js';
export { backingDevice, runOp, useDevice } from './binding/backend.js';
export type { OpAttr } from './c/attributes.js';
export { type ContextOptions, type Device, listDevices, openContext } from './c/context.js';
export { AttrType, DataType } from './c/signatures.js';
export { type Compiled, type CompileOptions, compile } from './graph/compile.js';
export { statelessNormal, statelessUniform } from './layers/stateless-random.js';

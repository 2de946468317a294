/** `file://` for `model.save` and `tf.loadLayersModel`, as tfjs-node registers it. */
import './one-tfjs.js';

import tf = require('@tensorflow/tfjs');

import { nodeFileSystemRouter } from '@tensorflow/tfjs-node-gpu/dist/io/file_system.js';

/**
 * Registers tfjs-node's way of saving and loading models in files, once in a thread. Where tfjs-node itself has registered
 * it, nothing changes: tfjs refuses to choose between two.
 */
export function registerFiles(): void {
  if (tf.io.getSaveHandlers('file://model').length > 0) return;
  tf.io.registerSaveRouter(nodeFileSystemRouter);
  tf.io.registerLoadRouter(nodeFileSystemRouter);
}

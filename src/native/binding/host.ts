/** What stays on the host, whatever the device. */
import { DataType } from '../c/signatures.js';

/**
 * Ops that TensorFlow has for the host alone, whatever the device: image codecs, strings, summaries. They run on `CPU:0`;
 * every other op runs on the pinned device or fails, never elsewhere in silence.
 */
export const HOST_OPS =
  /^(Decode|Encode)(Jpeg|Png|Bmp|Gif|Image)$|Summary|^(String|StaticRegex|Regex|Unique)|^(Print|PrintV2)$/;

/** int32 and strings stay in host memory: TensorFlow wants shapes, axes and the like there on a GPU too. */
export const HOST_TYPES: ReadonlySet<number> = new Set([
  DataType.INT32,
  DataType.INT64,
  DataType.STRING,
  DataType.RESOURCE,
]);

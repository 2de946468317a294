/**
 * Decodes JPEG files by TensorFlow's kernel, which has libjpeg-turbo. It takes less time than libvips, and gives the same
 * pixels: both decode with exact cosine transforms and smooth upsampling.
 */
import { attr } from '../c/attributes.js';
import { type Context, openContext } from '../c/context.js';
import { copyOut } from '../c/copy.js';
import { hasContext } from '../c/process-wide.js';
import { check } from '../c/status.js';
import { stringTensor } from '../c/tensors.js';
import { executeAsync } from './execute.js';

/** Of `tensorflow/core/ops/image_ops.cc`. */
const OP = 'DecodeJpeg';
const ATTRS = [
  attr.int('channels', 3),
  attr.string('dct_method', 'INTEGER_ACCURATE'),
  attr.bool('fancy_upscaling', true),
];

/**
 * Returns a decoder for this thread; undefined while the process has no TensorFlow context, because its options are for
 * others to choose. The decoder works in libuv's threads. It gives the pixels [height, width, 3] of a JPEG file, uint8, red,
 * green and blue, and rejects with a NativeError if the file cannot be decoded. The file must stay as it is until then.
 */
export function openJpegDecoder(): ((file: Uint8Array) => Promise<Uint8Array>) | undefined {
  if (!hasContext()) return undefined;
  const context = openContext();
  const host = context.devices.find(({ memory }) => memory === 'host');
  return host && ((file) => decode(context, host.fullName, file));
}

async function decode(shared: Context, device: string, file: Uint8Array): Promise<Uint8Array> {
  // Several images are decoded at the same time, so each has a status of its own.
  const context = { ...shared, status: shared.c.TF_NewStatus() };
  try {
    const { handle, free } = stringTensor(context, [], [file]);
    try {
      const call = { name: OP, inputs: [handle], attrs: ATTRS, count: 1, device, cancellation: undefined };
      return takePixels(context, (await executeAsync(context, call))[0]!);
    } finally {
      free();
    }
  } finally {
    context.c.TF_DeleteStatus(context.status);
  }
}

/** The values of a tensor, whose handle is deleted. */
function takePixels(context: Context, handle: bigint): Uint8Array {
  const { c, status } = context;
  const tensor = c.TFE_TensorHandleResolve(handle, status);
  c.TFE_DeleteTensorHandle(handle);
  check(context, 'read a decoded image');
  try {
    const pixels = new Uint8Array(Number(c.TF_TensorByteSize(tensor)));
    copyOut(pixels, c.TF_TensorData(tensor));
    return pixels;
  } finally {
    c.TF_DeleteTensor(tensor);
  }
}

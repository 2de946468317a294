/** Batch slots: pieces of shared memory that hold a batch each. */

/** The header's first word is the number of bytes to skip before the values, so that they start at an aligned address. */
const HEADER_BYTES = 64;
const MAX_SKIP_BYTES = 64;

export function slotBytes(batchSize: number, inputSize: number, inputChannels: number): number {
  return HEADER_BYTES + MAX_SKIP_BYTES + 4 * batchSize * (inputSize * inputSize * inputChannels + 1);
}

/**
 * Allocates a slot of zeros. @throws RangeError if there is no memory.
 * @param bytesToAlignment distance from the start of some memory to an address that a device can use without a copy: bytes
 * below 64, a multiple of 4.
 */
export function createSlot(
  batchSize: number,
  inputSize: number,
  inputChannels: number,
  bytesToAlignment: (memory: SharedArrayBuffer) => number = () => 0,
): SharedArrayBuffer {
  const slot = new SharedArrayBuffer(slotBytes(batchSize, inputSize, inputChannels));
  new Int32Array(slot)[0] = bytesToAlignment(slot);
  return slot;
}

/**
 * Views of a slot's float32 images [batchSize, inputSize, inputSize, inputChannels] and int32 labels [batchSize]. A batch
 * with fewer images leaves older values behind its own.
 */
export function slotViews(
  slot: SharedArrayBuffer,
  batchSize: number,
  inputSize: number,
  inputChannels: number,
): { images: Float32Array; labels: Int32Array } {
  const start = HEADER_BYTES + new Int32Array(slot, 0, 1)[0]!;
  const values = batchSize * inputSize * inputSize * inputChannels;
  return {
    images: new Float32Array(slot, start, values),
    labels: new Int32Array(slot, start + 4 * values, batchSize),
  };
}

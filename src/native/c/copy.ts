/**
 * Bytes into C's memory and out of it, by the C library. A JavaScript view of C's memory would count as JavaScript's own
 * while it lasts: some tens of megabytes of such views have the whole heap collected, and that takes longer than copying.
 */

import { loadKoffi } from '../install/koffi.js';
import type { Library } from './load.js';
import type { Pointer } from './signatures.js';

const koffi = loadKoffi();

/** TensorFlow takes memory as it is where it begins at a multiple of so many bytes: Eigen's alignment. */
export const ALIGNMENT = 64;

/** Copies `values`, which may be shared memory, to `address`. */
export function copyIn({ libc }: Library, address: Pointer, values: ArrayBufferView): void {
  if (values.byteLength > 0) libc.memcpy(address, values, values.byteLength);
}

/** Copies as many bytes as `target` has, which may be shared memory, from `address`. */
export function copyOut({ libc }: Library, target: ArrayBufferView, address: Pointer): void {
  if (target.byteLength > 0) libc.memcpy(target, address, target.byteLength);
}

/** Bytes from the beginning of some memory to where it is aligned; below {@link ALIGNMENT}. */
export function bytesToAlignment(memory: SharedArrayBuffer): number {
  return Number(-koffi.address(new Uint8Array(memory)) & BigInt(ALIGNMENT - 1));
}

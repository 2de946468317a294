/** Bytes into C's memory and out of it. */
import koffi from 'koffi';
import type { Library } from './load.js';
import type { Pointer } from './signatures.js';

/**
 * From so many bytes on JavaScript's own copy is used, which takes two thirds of the time of the C library's on an EPYC
 * (11 MB); for few bytes the call of the C library is the quicker one.
 */
const LARGE = 2 ** 16;

/** Copies `values`, which may be shared memory, to `address`. */
export function copyIn({ libc }: Library, address: Pointer, values: ArrayBufferView): void {
  const { byteLength } = values;
  if (byteLength >= LARGE) at(address, byteLength).set(bytesOf(values));
  else if (byteLength > 0) libc.memcpy(address, values, byteLength);
}

/** Copies as many bytes as `target` has, which may be shared memory, from `address`. */
export function copyOut({ libc }: Library, target: ArrayBufferView, address: Pointer): void {
  const { byteLength } = target;
  if (byteLength >= LARGE) bytesOf(target).set(at(address, byteLength));
  else if (byteLength > 0) libc.memcpy(target, address, byteLength);
}

function at(address: Pointer, bytes: number): Uint8Array {
  return new Uint8Array(koffi.view(address, bytes) as ArrayBuffer);
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Functions of the C library, and copies into C's memory and out of it. */
import { bind, loadKoffi, type Pointer } from '../install/koffi.js';

export const libc = bind([
  'void *calloc(size_t count, size_t bytes)',
  'void free(void *address)',
  'void *memcpy(_Out_ void *to, const void *from, size_t bytes)',
  'void *strdup(const char *text)',
  'void *fopen(const char *path, const char *mode)',
  'const char *getenv(const char *name)',
  'int setenv(const char *name, const char *value, int overwrite)',
  'int unsetenv(const char *name)',
  'int usleep(uint32_t microseconds)',
]);

/** TensorFlow uses memory without a copy if it begins at a multiple of this many bytes: Eigen's alignment. */
export const ALIGNMENT = 64;

/*
 * Copies, also of shared memory. They use memcpy, because JavaScript views of C's memory would count as JavaScript's own
 * memory: some tens of megabytes of them trigger a garbage collection of the whole heap, which takes longer than copying.
 */

export function copyIn(address: Pointer, values: ArrayBufferView): void {
  if (values.byteLength > 0) libc.memcpy(address, values, values.byteLength);
}

export function copyOut(target: ArrayBufferView, address: Pointer): void {
  if (target.byteLength > 0) libc.memcpy(target, address, target.byteLength);
}

/** Bytes from the beginning of the memory to its first aligned address; less than {@link ALIGNMENT}. */
export function bytesToAlignment(memory: SharedArrayBuffer): number {
  return Number(-loadKoffi().address(new Uint8Array(memory)) & BigInt(ALIGNMENT - 1));
}

/** A thread that stands still, for faults. */

/** Blocks this thread for so long; without an end unless something ends the thread. */
export function stall(ms = Number.POSITIVE_INFINITY): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

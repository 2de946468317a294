/** A tower's thread that leaves, for tests: `step` ends it at once, `list` and `save` when the memory's word says so. */
import { packControl, unpackControl } from '../../src/exchange/index.js';
import type { Command, Envelope } from '../../src/tower/protocol.js';

export default function task({ command, memory }: { command: Uint8Array; memory?: SharedArrayBuffer }): Uint8Array {
  const { kind } = unpackControl<Command>(command);
  if (kind === 'step') process.exit(7);
  if (memory) {
    const word = new Int32Array(memory);
    setInterval(() => {
      if (Atomics.load(word, 0) === 0) return;
      if (kind === 'list') process.exit(8);
      throw new Error('out of luck');
    }, 1);
  }
  return packControl({ ok: true, reply: kind } satisfies Envelope);
}

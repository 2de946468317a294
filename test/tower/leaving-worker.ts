/**
 * A tower's worker that replies with the command. `step` ends its thread at once; `list` and `save` do when the memory's
 * word says so.
 */
import type { Envelope, Task } from '../../src/tower/protocol.js';

export default function task({ command, memory }: Task): Envelope {
  const { kind } = command;
  if (kind === 'step') process.exit(7);
  if (memory) {
    const word = new Int32Array(memory);
    setInterval(() => {
      if (Atomics.load(word, 0) === 0) return;
      if (kind === 'list') process.exit(8);
      throw new Error('out of luck');
    }, 1);
  }
  return { ok: true, reply: command };
}

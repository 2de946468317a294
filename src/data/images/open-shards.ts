/** Shards that are open: a bounded number of them, for a process may have few files open. */
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { systemMessage } from '../../errors.js';
import { GONE, isOfSystem, systemError } from './retry.js';

export interface OpenShards {
  /** Calls `use` with the shard's descriptor. @throws the system's error when it cannot be opened, and what `use` throws. */
  use<T>(shard: number, use: (file: number) => T): T;
  close(): void;
}

/** Too many files are open, in the process or in the system. */
const TOO_MANY = ['EMFILE', 'ENFILE'];

/** Opens shards as they are asked for; of more than `most`, the one that was used least lately is closed. */
export function openShards(folder: string, names: readonly string[], most: number): OpenShards {
  /** In the order of their last use. */
  const open = new Map<number, number>();

  function drop(shard: number): void {
    const file = open.get(shard)!;
    open.delete(shard); // first: a descriptor is gone, whatever closing it says
    closeSync(file);
  }

  function openNew(shard: number): number {
    while (open.size >= most) drop(open.keys().next().value!);
    const path = join(folder, names[shard]!);
    try {
      return openSync(path, 'r');
    } catch (error) {
      if (!TOO_MANY.includes((error as NodeJS.ErrnoException).code ?? '') || open.size === 0) throw error;
      close(); // others want files too
      return openSync(path, 'r');
    }
  }

  function close(): void {
    for (const shard of [...open.keys()]) drop(shard);
  }

  return {
    use(shard, use) {
      try {
        const file = open.get(shard) ?? openNew(shard);
        open.delete(shard);
        open.set(shard, file);
        return use(file);
      } catch (error) {
        if (open.has(shard)) drop(shard); // after a server was away, an open file may stay of no use
        if (isOfSystem(error) || (error as NodeJS.ErrnoException).code === undefined) throw error;
        // A shard has thousands of images: that it cannot be read is no word on one of them.
        throw systemError(GONE, `the shard cannot be opened: ${systemMessage(error as Error)}`);
      }
    },
    close,
  };
}

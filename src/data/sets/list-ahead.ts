/**
 * Lists the folders of an image folder ahead of the walk, several at a time: a disk or a file server that takes a
 * millisecond for each is then waited for a few times and not a thousand times. The walk decides what the names mean.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Folders that are listed at a time, in libuv's threads: four by default, as many as the machine has cores in our commands. */
const AT_A_TIME = 16;

const FILE = 0;
const FOLDER = 1;
const LINK = 2;

/** Names in a folder, in the order of the system. A million of them as directory entries would take twice the memory. */
interface Names {
  readonly names: readonly string[];
  /** [names] */
  readonly kinds: Uint8Array;
}

/** An entry of a folder, as the system names it. */
export interface ListedEntry {
  readonly name: string;
  readonly isFolder: boolean;
  readonly isLink: boolean;
}

/** Folders that were listed ahead. */
export interface ListedFolders {
  /** The entries of a folder, once: then they are forgotten. Undefined for a folder that was not listed. */
  take(folder: string): ListedEntry[] | undefined;
}

/**
 * Lists folders and all folders in them, without hidden ones and without following links. A folder that cannot be listed is
 * left out: whoever needs it lists it again and gets the system's error.
 */
export async function listAhead(folders: readonly string[]): Promise<ListedFolders> {
  const listed = new Map<string, Names>();
  const waiting = [...folders];
  let running = 0;
  await new Promise<void>((resolve) => {
    const start = () => {
      while (running < AT_A_TIME && waiting.length > 0) {
        running++;
        list(waiting.pop()!).finally(() => {
          running--;
          start();
        });
      }
      if (running === 0) resolve();
    };
    start();
  });
  return {
    take(folder) {
      const found = listed.get(folder);
      listed.delete(folder);
      return found?.names.map((name, i) => ({
        ...{ name, isFolder: found.kinds[i] === FOLDER, isLink: found.kinds[i] === LINK },
      }));
    },
  };

  async function list(folder: string): Promise<void> {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined);
    if (!entries) return;
    const kinds = Uint8Array.from(entries, (entry) => {
      if (entry.isSymbolicLink()) return LINK;
      return entry.isDirectory() ? FOLDER : FILE;
    });
    listed.set(folder, { names: entries.map(({ name }) => name), kinds });
    for (const [i, { name }] of entries.entries()) {
      if (kinds[i] === FOLDER && !name.startsWith('.')) waiting.push(join(folder, name));
    }
  }
}

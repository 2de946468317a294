/**
 * The file from which a tower's thread starts. `worker.js` imports hundreds of modules, which takes most of a thread's start.
 * `worker.bundle.cjs` has them all in one file, tfjs included; `scripts/bundle-tower.mjs` makes it after each compilation.
 *
 * The bundle is used only if it was made from the modules as they are now. Its first line has their names and a digest of
 * their contents, so a module that is compiled, edited or installed anew in any way makes `worker.js` the file again.
 */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What the bundle was made from, and the digest of that. */
export interface BundleHead extends BundleParts {
  digest: string;
}

export interface BundleParts {
  /** This program's modules, relative to the folder above that of the towers. */
  own: readonly string[];
  /** By the name of a package: its modules, relative to its folder. */
  packages: Readonly<Record<string, readonly string[]>>;
}

/** A comment, so that the rest of the line is not code. */
export const HEAD_START = '// ';
const MOST_HEAD_BYTES = 65_536;
const NEWLINE = 10;

const OWN_FOLDER = dirname(fileURLToPath(import.meta.url));
let chosen: string | undefined;

/**
 * The path of the file, chosen once in a process. It is `worker.js` also where stack traces are to name the lines of the
 * sources, which a bundle without a source map cannot.
 */
export function threadFile(): string {
  chosen ??= currentBundle(OWN_FOLDER) ?? join(OWN_FOLDER, 'worker.js');
  return process.sourceMapsEnabled ? join(OWN_FOLDER, 'worker.js') : chosen;
}

/** The bundle in a folder of compiled towers; undefined if there is none, or if it was made from other modules. */
export function currentBundle(folder: string): string | undefined {
  const file = join(folder, 'worker.bundle.cjs');
  try {
    const { digest, ...parts } = readHead(file);
    const places = new Map(Object.keys(parts.packages).map((name) => [name, packageFolder(folder, name)]));
    const read = (path: string, name?: string) =>
      readFileSync(join(name === undefined ? dirname(folder) : places.get(name)!, path));
    return digest === digestOf(parts, read) ? file : undefined;
  } catch {
    return undefined; // it, or a module, cannot be read
  }
}

/** A digest of the contents of modules. @param read gives those of a module of a package, or of this program. */
export function digestOf({ own, packages }: BundleParts, read: (path: string, name?: string) => Uint8Array): string {
  const hash = createHash('sha256');
  const add = (path: string, name?: string) => {
    const bytes = read(path, name);
    hash.update(`${path} ${bytes.length}\n`).update(bytes);
  };
  for (const path of own) add(path);
  for (const [name, paths] of Object.entries(packages)) for (const path of paths) add(path, name);
  return hash.digest('hex');
}

/** As Node.js finds it. */
function packageFolder(from: string, name: string): string {
  const folder = join(from, 'node_modules', name);
  if (existsSync(folder)) return folder;
  if (dirname(from) === from) throw new Error(`Cannot find the package ${name}`);
  return packageFolder(dirname(from), name);
}

function readHead(file: string): BundleHead {
  const bytes = Buffer.alloc(MOST_HEAD_BYTES);
  const descriptor = openSync(file, 'r');
  try {
    readSync(descriptor, bytes);
  } finally {
    closeSync(descriptor);
  }
  return JSON.parse(bytes.toString('utf8', HEAD_START.length, bytes.indexOf(NEWLINE)));
}

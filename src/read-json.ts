/** Files that come from others, read within limits: no larger than they may be, and no deeper. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { describePlaceholder } from './file-kind.js';

/** Deeper than anything that is written here; what walks a value by calling itself would not come back from a million. */
const MAX_DEPTH = 64;

/** What is read at once. */
const PIECE = 65_536;

export interface TextLimits {
  /** Most bytes that the file may have. */
  limit: number;
  /** Whether it may be a pipe, such as a shell's `<(…)`; reading one waits for whoever writes it. */
  pipe?: boolean;
}

/**
 * The text of a file. Nothing is read of one that is too large, and a pipe or a device is read up to the limit.
 * @throws Error, the system's or one that says which limit; whoever names the file says what to do.
 */
export function readText(file: string, { limit, pipe = false }: TextLimits): string {
  // A pipe that nobody writes to would keep the process.
  const descriptor = openSync(file, pipe ? constants.O_RDONLY : constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(descriptor);
    if (stats.isDirectory()) throw new Error('it is a folder');
    if (!stats.isFile() && !pipe) throw new Error('it is no file');
    if (stats.size > limit) throw tooLong(`${stats.size} bytes`, limit);
    const decoder = new StringDecoder('utf8');
    const piece = Buffer.allocUnsafeSlow(PIECE);
    let text = '';
    for (let done = 0; ; ) {
      // Less than was asked for is not the end: a pipe gives what is there, and so do some file systems.
      const count = readSync(descriptor, piece);
      if (count === 0) return text + decoder.end();
      done += count;
      if (done > limit) throw tooLong('more bytes', limit);
      text += decoder.write(piece.subarray(0, count));
    }
  } finally {
    closeSync(descriptor);
  }
}

function tooLong(found: string, limit: number): Error {
  return new Error(`it has ${found}, more than ${limit}`);
}

/** The value of a text that is JSON. @throws SyntaxError for one that is not, or whose lists and objects lie too deep. */
export function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const held = describePlaceholder(text);
    throw held === undefined ? error : new SyntaxError(held);
  }
  let level = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth >= MAX_DEPTH) throw new SyntaxError(`its lists and objects lie more than ${MAX_DEPTH} deep`);
    const next: unknown[] = [];
    for (const each of level) {
      if (typeof each !== 'object' || each === null) continue;
      for (const child of Array.isArray(each) ? each : Object.values(each)) {
        if (typeof child === 'object' && child !== null) next.push(child);
      }
    }
    level = next;
  }
  return value;
}

/** The value of a file of JSON. @throws Error as {@link readText} and {@link parseJson} do. */
export function readJson(file: string, limits: TextLimits): unknown {
  return parseJson(readText(file, limits));
}

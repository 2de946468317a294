/** Reads files from other people within limits of size and depth. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { describePlaceholder } from './file-kind.js';

/** Deeper than any file of this program. Recursion over a million levels would overflow the stack. */
const MAX_DEPTH = 64;

const PIECE_BYTES = 65_536;

export interface TextLimits {
  /** The maximum size in bytes. */
  limit: number;
  /** Whether the file may be a pipe, such as `<(…)` in a shell. Reading a pipe waits for its writer. */
  pipe?: boolean;
}

/**
 * Returns the text of a file. Does not read a file that is too large, and reads a pipe only up to the limit.
 * @throws Error of the system, or with the limit. The message does not name the file.
 */
export function readText(file: string, { limit, pipe = false }: TextLimits): string {
  // Opening a pipe without a writer would block.
  const descriptor = openSync(file, pipe ? constants.O_RDONLY : constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(descriptor);
    if (stats.isDirectory()) throw new Error('it is a folder');
    if (!stats.isFile() && !pipe) throw new Error('it is not a file');
    if (stats.size > limit) throw tooLong(`${stats.size} bytes`, limit);
    const decoder = new StringDecoder('utf8');
    const piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
    let text = '';
    for (let done = 0; ; ) {
      // A short read is not the end of the file: pipes and some file systems return what they have.
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

/** `JSON.parse`. @throws SyntaxError if the text is not JSON, or is nested too deep. */
export function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const held = describePlaceholder(text);
    throw held === undefined ? error : new SyntaxError(held);
  }
  checkDepth(value, MAX_DEPTH);
  return value;
}

function checkDepth(value: unknown, levelsLeft: number): void {
  if (typeof value !== 'object' || value === null) return;
  if (levelsLeft === 0) throw new SyntaxError(`its lists and objects are nested more than ${MAX_DEPTH} deep`);
  for (const child of Array.isArray(value) ? value : Object.values(value)) checkDepth(child, levelsLeft - 1);
}

/** {@link parseJson}; undefined for a text that it refuses. */
export function tryParseJson(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

/** Returns the value of a JSON file. @throws Error of {@link readText} or {@link parseJson}. */
export function readJson(file: string, limits: TextLimits): unknown {
  return parseJson(readText(file, limits));
}

/** Makes a piece of a shard: some images as entries of a tar file, in memory. Runs in the threads that pack. */
import { extname } from 'node:path';
import { buffer } from 'node:stream/consumers';
import tar from 'tar-stream';
import { truncate } from '../../errors.js';
import { jsonText } from '../../printable.js';
import { encodeJpeg, formatOf, openDecoder } from '../images/decode.js';
import { openReader, type Refused } from '../images/reader.js';
import { SystemError } from '../images/retry.js';
import { npyHeader, type Stored } from '../images/stored.js';
import type { ImageFiles } from '../sets/dataset.js';
import { nameAt } from '../sets/names.js';
import type { LeftOut, Part } from './packed-dataset.js';

export interface ChunkSetup {
  readonly folder: string;
  readonly parts: Readonly<Record<Part, ImageFiles>>;
  /** How images are stored; undefined leaves the files unchanged. */
  readonly stored?: Stored | undefined;
}

export interface ChunkTask {
  part: Part;
  /** Of the part's images. */
  indices: readonly number[];
}

export interface Chunk {
  /** Whole entries of a tar file, in shared memory. */
  tar: Uint8Array;
  /** The images in it; `offset` is where an image's content starts in `tar`. */
  images: { index: number; label: number; path: string; offset: number; bytes: number }[];
  leftOut: LeftOut[];
  /** Message of the system fault that ended the work, if any. An Error would lose its class between threads. */
  systemFault?: string;
}

export const BLOCK = 512; // of a tar file

/** A reason is cut at this length: it stands in the index of the shard. */
const REASON_LENGTH = 160;

/** What is stored of an image: the entry's content, and where the image starts in it. */
type Content = { content: Buffer; skip: number; ending: string };

/** Prepares the packing of images; the result is for one thread, and handles several tasks at the same time. */
export function createPacker({ folder, parts, stored }: ChunkSetup): (task: ChunkTask) => Promise<Chunk> {
  const readers = { train: openReader(folder, parts.train), val: openReader(folder, parts.val) };
  const contentOf = stored ? createStoring(stored) : unchanged;

  return async ({ part, indices }) => {
    const { names, labels } = parts[part];
    const entries: [name: string, content: Buffer][] = [];
    const chunk: Chunk = { tar: new Uint8Array(0), images: [], leftOut: [] };
    let at = 0;
    const add = (name: string, content: Buffer) => {
      entries.push([name, content]);
      at += BLOCK + Math.ceil(content.length / BLOCK) * BLOCK;
    };
    try {
      for (const index of indices) {
        const [path, label] = [nameAt(names, index), labels[index]!];
        const found = await readers[part].read<Content | Refused>(index, (bytes) => contentOf(bytes, path));
        if ('reason' in found) {
          chunk.leftOut.push({ index, path, reason: truncate(found.reason, REASON_LENGTH) });
          continue;
        }
        const { content, skip, ending } = found;
        const key = String(index).padStart(9, '0');
        chunk.images.push({ index, label, path, offset: at + BLOCK + skip, bytes: content.length - skip });
        add(`${key}.${ending}`, content);
        add(`${key}.cls`, Buffer.from(`${label}`));
        add(`${key}.json`, Buffer.from(jsonText({ path, label })));
      }
      chunk.tar = await tarOf(entries, at);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      chunk.systemFault = error.message;
    }
    return chunk;
  };
}

/** The entries one after the other, without the end of a tar file. The time is constant, so that bytes depend on images alone. */
async function tarOf(entries: readonly [name: string, content: Buffer][], bytes: number): Promise<Uint8Array> {
  const pack = tar.pack();
  for (const [name, content] of entries) pack.entry({ name, mtime: new Date(0) }, content);
  pack.finalize();
  const whole = await buffer(pack);
  if (whole.length !== bytes + 2 * BLOCK) throw new Error('the entries are not as long as they should be');
  const shared = new Uint8Array(new SharedArrayBuffer(bytes));
  shared.set(whole.subarray(0, bytes));
  return shared;
}

/** For other tools: the ending of the content's format, or the file's own if it is no image. */
function unchanged(content: Buffer, path: string): Content {
  const format = formatOf(content);
  const ending = format === 'JPEG' ? 'jpg' : (format?.toLowerCase() ?? extname(path).slice(1).toLowerCase());
  return { content, skip: 0, ending };
}

/** Scales images as a training does, and stores those pixels. */
function createStoring(stored: Stored): (bytes: Buffer) => Promise<Content | Refused> {
  const { kind, size } = stored;
  const opening = openDecoder(size, 3, stored);
  opening.catch(() => {}); // reported by the first image
  const header = npyHeader(size);
  return async (bytes) => {
    const decoded = await (await opening)(bytes);
    if ('reason' in decoded) return decoded;
    const { pixels } = decoded;
    if (kind === 'jpeg') return { content: await encodeJpeg(pixels, size, stored.quality), skip: 0, ending: 'jpg' };
    return { content: Buffer.concat([header, pixels]), skip: header.length, ending: 'npy' };
  };
}

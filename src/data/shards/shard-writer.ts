/** Writes a shard and its index from pieces that are made elsewhere. Each file gets its name once it is on the disk. */
import assert from 'node:assert';
import { createHash } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { jsonText } from '../../printable.js';
import { UNFINISHED, writeWhole } from '../statistics/cache.js';
import { BLOCK, type Chunk } from './chunk.js';
import { indexName, MAX_INDEX_BYTES, type ShardIndex } from './packed-dataset.js';

export interface ShardWriter {
  add(chunk: Chunk): Promise<void>;
  /** Ends the tar file, and writes the index. */
  finish(): Promise<void>;
  /** Closes and removes what is not finished. */
  abandon(): Promise<void>;
}

/** Begins a shard. The caller finishes or abandons it. @throws the system's error. */
export async function openShardWriter(out: string, name: string): Promise<ShardWriter> {
  const unfinished = join(out, `.${name}${UNFINISHED}`);
  let file: FileHandle | undefined = await open(unfinished, 'w');
  const hash = createHash('sha256');
  const columns = {
    ...{ index: [] as number[], label: [] as number[], path: [] as string[] },
    ...{ offset: [] as number[], bytes: [] as number[] },
  };
  const leftOut: Chunk['leftOut'] = [];
  let size = 0;

  async function write(bytes: Uint8Array): Promise<void> {
    hash.update(bytes);
    for (let done = 0; done < bytes.length; ) {
      done += (await file!.write(bytes, done, bytes.length - done, size + done)).bytesWritten;
    }
    size += bytes.length;
  }

  return {
    async add(chunk) {
      for (const { index, label, path, offset, bytes } of chunk.images) {
        columns.index.push(index);
        columns.label.push(label);
        columns.path.push(path);
        columns.offset.push(size + offset);
        columns.bytes.push(bytes);
      }
      leftOut.push(...chunk.leftOut);
      await write(chunk.tar);
    },
    async finish() {
      await write(new Uint8Array(2 * BLOCK)); // a tar file ends with two empty blocks
      await file!.sync();
      const { size: found } = await file!.stat();
      if (found !== size) throw new Error(`${unfinished} has ${found} bytes, not the ${size} that were written`);
      await file!.close();
      file = undefined;
      // An index of other content must not stand beside the shard if the process ends here.
      await rm(join(out, indexName(name)), { force: true });
      await rename(unfinished, join(out, name));
      const text = jsonText({
        ...{ size, ...columns, sha256: hash.digest('hex') },
        ...(leftOut.length > 0 && { leftOut }),
      } satisfies ShardIndex);
      assert(Buffer.byteLength(text) <= MAX_INDEX_BYTES, `the index of ${name} is too long to be read`);
      writeWhole(out, indexName(name), text);
    },
    async abandon() {
      await file?.close().catch(() => {});
      file = undefined;
      await rm(unfinished, { force: true }).catch(() => {});
    },
  };
}

/** Checks whether shards still hold what was written: no decoder notices a changed pixel of a raw image. */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { retryRead } from '../images/retry.js';
import type { FileDataset } from '../sets/dataset.js';
import { readIndex } from './packed-dataset.js';

const PIECE_BYTES = 2 ** 22;

export interface ShardReport {
  /** Shards whose content was compared with the hash in their index. */
  compared: number;
  /** Shards of earlier versions, whose index has none. */
  withoutHash: number;
  /** File names of the shards that hold something else. */
  damaged: string[];
}

/**
 * Reads every shard of a packed data set; undefined for a folder of files.
 * @param progress called with the bytes that were read and those of all shards.
 * @throws SystemError for a system fault that lasts.
 */
export async function checkShards(
  { folder, train, test }: FileDataset,
  progress?: (done: number, total: number) => void,
): Promise<ShardReport | undefined> {
  const shards = [...(train.places?.shards ?? []), ...(test.places?.shards ?? [])];
  if (shards.length === 0) return undefined;
  const report: ShardReport = { compared: 0, withoutHash: 0, damaged: [] };
  const indexes = shards.map((shard) => ({ shard, ...sizeAndHash(folder, shard) }));
  const total = indexes.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  for (const { shard, size, sha256 } of indexes) {
    if (sha256 === undefined) report.withoutHash++;
    else {
      const path = join(folder, shard);
      const found = await retryRead(path, () => hashOf(path, (bytes) => progress?.(done + bytes, total)));
      report.compared++;
      if (found !== sha256) report.damaged.push(shard);
    }
    done += size;
  }
  return report;
}

function sizeAndHash(folder: string, shard: string) {
  const { size, sha256 } = readIndex(folder, shard);
  return { size, sha256 };
}

async function hashOf(path: string, progress: (bytes: number) => void): Promise<string> {
  const file: FileHandle = await open(path);
  try {
    const hash = createHash('sha256');
    const piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
    for (let at = 0; ; ) {
      const { bytesRead } = await file.read(piece, 0, PIECE_BYTES, at);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(piece.subarray(0, bytesRead));
      at += bytesRead;
      progress(at);
    }
  } finally {
    await file.close();
  }
}

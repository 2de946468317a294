/**
 * Remembers the key of a long list of image files, so that a million files are not looked at before each training. A key is
 * known as long as the list, the folders' times and the files of a sample are the same.
 */
import { createHash } from 'node:crypto';
import { realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readJson } from '../../read-json.js';
import type { FileDataset } from '../sets/dataset.js';
import { type Names, nameAt } from '../sets/names.js';

/**
 * Files that are looked at. Of a set with no more, all of them are. If a program overwrote one file in a thousand in place, so
 * that no folder's time changes, the sample has one of them in seven cases of eight; fewer hardly change a mean.
 */
const SAMPLE = 2_048;

/**
 * A folder that changed so shortly before it was looked at may change again without another time: some file systems count
 * in steps of two seconds, and the clock of a file server may be off.
 */
const SETTLED_MS = 10_000;

const recordSchema = z.object({ version: z.literal(1), stamps: z.string(), key: z.string() });

/**
 * The key of the training images.
 * @param folder of the records; undefined for none.
 * @param compute looks at every file.
 * @param options.everyFile computes in any case, and remembers the key.
 * @param options.settledMs for tests.
 * @param options.writeWhole writes a file completely or not at all.
 */
export async function knownKey(
  dataset: FileDataset,
  folder: string | undefined,
  compute: () => Promise<string>,
  options: {
    everyFile?: boolean;
    settledMs?: number;
    writeWhole: (folder: string, name: string, text: string) => void;
  },
): Promise<string> {
  const before = folder === undefined || dataset.train.count <= SAMPLE ? undefined : stampsOf(dataset);
  if (folder === undefined || !before) return compute();
  const known = options.everyFile ? undefined : readRecord(join(folder, before.file));
  if (known?.stamps === before.stamps) return known.key;
  const key = await compute();
  try {
    const record: z.infer<typeof recordSchema> = { version: 1, stamps: before.stamps, key };
    if (before.ageMs >= (options.settledMs ?? SETTLED_MS))
      options.writeWhole(folder, before.file, `${JSON.stringify(record)}\n`);
  } catch {
    // Only the next start takes longer.
  }
  return key;
}

function readRecord(file: string) {
  try {
    return recordSchema.safeParse(readJson(file, { limit: 4_096 })).data;
  } catch {
    return undefined;
  }
}

const SLASH = 47;

/** The folders of files. It makes no strings of the names that are in the folder of the one before, as nearly all are. */
function foldersOf({ bytes, ends }: Names): Set<string> {
  const folders = new Set<string>();
  let last = Buffer.alloc(0);
  for (let i = 0; i < ends.length; i++) {
    const [start, end] = [ends[i - 1] ?? 0, ends[i]!];
    let slash = end - 1;
    while (slash > start && bytes[slash] !== SLASH) slash--;
    let same = slash - start === last.length ? last.length : -1;
    while (same > 0 && bytes[start + same - 1] === last[same - 1]) same--;
    if (same === 0) continue;
    last = Buffer.from(bytes.subarray(start, slash));
    folders.add(last.toString());
  }
  return folders;
}

/** A hash of the folders' times and of the sample; undefined if one cannot be looked at. */
function stampsOf({ folder, train: { count, names } }: FileDataset) {
  try {
    const now = Date.now();
    const list = createHash('sha256')
      .update(`${realpathSync(folder)}\0`)
      .update(names.bytes)
      .update(names.ends);
    const stamps = createHash('sha256');
    let newest = 0;
    for (const each of foldersOf(names)) {
      const { ino, mtimeNs, ctimeNs, ctimeMs } = statSync(join(folder, each), { bigint: true });
      stamps.update(`${each}\0${ino}\0${mtimeNs}\0${ctimeNs}\n`);
      newest = Math.max(newest, Number(ctimeMs));
    }
    for (let i = 0; i < SAMPLE; i++) {
      const { size, mtimeMs } = statSync(join(folder, nameAt(names, Math.floor((i * count) / SAMPLE))));
      stamps.update(`${size}\0${mtimeMs}\n`);
    }
    return {
      file: `files-${list.digest('hex').slice(0, 32)}.json`,
      stamps: stamps.digest('hex'),
      ageMs: now - newest,
    };
  } catch {
    return undefined; // looking at every file retries, and reports
  }
}

/** Keeps the sums over the training images in a file, so that a process that was killed does not read them again. */
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readJson } from '../../read-json.js';
import type { ImageFiles } from '../sets/dataset.js';
import type { KeptSums } from './statistics.js';

const bytesSchema = z.string().transform((text) => new Uint8Array(Buffer.from(text, 'base64')));

const fileSchema = z.object({
  version: z.literal(1),
  /** Of the places of packed images, which say what the parts are. */
  places: z.string(),
  images: z.int().min(0),
  skipped: z.int().min(0),
  done: bytesSchema,
  values: bytesSchema
    .refine(({ byteLength }) => byteLength % 8 === 0)
    .transform(({ buffer }) => new Float64Array(buffer)),
  products: z
    .array(
      z
        .string()
        .regex(/^\d{1,40}$/)
        .transform(BigInt),
    )
    .max(9),
});

/**
 * A file of sums. Remove it once the statistics are saved.
 * @param name the file name of the statistics: a key of all that they depend on.
 * @param writeWhole writes a file completely or not at all.
 */
export function openKeptSums(
  folder: string,
  name: string,
  { places }: ImageFiles,
  writeWhole: (folder: string, name: string, text: string) => void,
): KeptSums & { remove(): void } {
  const file = `sums-${name}`;
  const hash = createHash('sha256');
  if (places) hash.update(places.shard).update(places.offset);
  const own = hash.digest('hex').slice(0, 32);
  return {
    read() {
      try {
        const { data } = fileSchema.safeParse(readJson(join(folder, file), { limit: 2 ** 30 }));
        if (data?.places !== own) return undefined;
        const { images, skipped, done, values, products } = data;
        return { totals: { images, values, products }, done, skipped };
      } catch {
        return undefined;
      }
    },
    write({ totals: { images, values, products }, done, skipped }) {
      const text = (array: Uint8Array | Float64Array) =>
        Buffer.from(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength).toString('base64');
      const sums = { images, skipped, done: text(done), values: text(values), products: products.map(String) };
      try {
        writeWhole(folder, file, `${JSON.stringify({ version: 1, places: own, ...sums })}\n`);
      } catch {
        // A full disk: the statistics themselves may still be computed, and whether they can be saved is said then.
      }
    },
    remove() {
      rmSync(join(folder, file), { force: true });
    },
  };
}

/** A checkpoint's list of contents, written last: what it lists was on the disk before it. */
import { z } from 'zod';
import { truncate } from '../errors.js';
import { describePlaceholder } from '../file-kind.js';
import { parseJson } from '../read-json.js';
import { weightsName } from './format.js';

export const MANIFEST_NAME = 'manifest.json';
export const STATE_NAME = 'state.json';

/** Far more than a manifest of two towers has. */
export const MAX_MANIFEST_BYTES = 16_384;
/** Room for the names of 65,536 classes. */
export const MAX_STATE_BYTES = 2 ** 24;

const MANIFEST = z.strictObject({
  format: z.literal(1),
  step: z.number().int().min(1).max(9_999_999_999),
  files: z.array(
    z.strictObject({
      name: z.string(),
      bytes: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
});

export type Manifest = z.infer<typeof MANIFEST>;

/** The text of a manifest; there is one way to write it. */
export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/** Names of the files of a checkpoint, the state first. */
export function fileNames(towers: number): string[] {
  return [STATE_NAME, ...Array.from({ length: towers }, (_, tower) => weightsName(tower, towers))];
}

/**
 * Reads a manifest. Only {@link fileNames}' names are taken, so no name leads out of the folder, and only the text that
 * {@link manifestText} writes, so a changed byte shows wherever it is.
 * @returns the manifest, or what is wrong with it.
 */
export function parseManifest(text: string): Manifest | string {
  let json: unknown;
  try {
    json = parseJson(text);
  } catch {
    return describePlaceholder(text) ?? 'it is not JSON';
  }
  const parsed = MANIFEST.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    return `${issue.path.join('.') || 'the whole'} is wrong (${truncate(issue.message, 200)})`;
  }
  const { data } = parsed;
  const names = data.files.map(({ name }) => name).join();
  if (![1, 2].some((towers) => names === fileNames(towers).join())) {
    return `it lists ${JSON.stringify(names).slice(0, 200)}, expected ${fileNames(1)} or ${fileNames(2)}`;
  }
  return manifestText(data) === text ? data : 'it was changed';
}

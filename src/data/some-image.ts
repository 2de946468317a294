/** Whether there is anything to evaluate at all. */
import { DataError } from '../errors.js';
import { openDecoder } from './images/decode.js';
import { type FileDataset, openReader } from './images/reader.js';
import { nameAt } from './sets/names.js';

/**
 * Looks for a test image that can be read: the first one, as a rule. A training that skips those that cannot be read would
 * find out after its first epoch that there is none.
 * @throws DataError when there is none, or when the signal ends it.
 */
export async function requireTestImage(
  { folder, test }: FileDataset,
  { resize, channels, signal }: { resize: number; channels: 1 | 3; signal?: AbortSignal | undefined },
): Promise<void> {
  const decode = await openDecoder(resize, channels);
  const reader = openReader(folder, test, { signal });
  let example = '';
  try {
    for (let index = 0; index < test.count; index++) {
      if (signal?.aborted) throw stopped(folder);
      const loaded = await reader.load(index, decode);
      if ('pixels' in loaded) return;
      if (index === 0) example = ` (the first, ${nameAt(test.names, index)}: ${loaded.reason})`;
    }
  } catch (error) {
    throw signal?.aborted ? stopped(folder) : error; // waiting for the system is ended too
  } finally {
    reader.close();
  }
  throw new DataError(
    `Cannot evaluate on the images of ${folder}: none of the ${test.count} test images can be read${example}, expected some; \`data check\` lists why`,
  );
}

function stopped(folder: string): DataError {
  return new DataError(
    `Cannot look at the test images of ${folder}: it was stopped, expected time to find one that can be read; run it again`,
  );
}

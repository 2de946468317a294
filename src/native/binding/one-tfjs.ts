/**
 * One copy of tfjs in a process. A second one registers its kernels in the registry of the first, prints a line for each
 * of them, and has classes of its own. To be imported before tfjs: then the second copy is refused before it prints.
 */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { SetupError } from '../../errors.js';

const CORE = '@tensorflow/tfjs-core';
/** tfjs-core's bundle for Node.js. */
const BUNDLE = /[\\/]@tensorflow[\\/]tfjs-core[\\/]dist[\\/]tf-core\.node(\.min)?\.js$/;

const require = createRequire(import.meta.url);

/** Checks that this thread has loaded no copy of tfjs but ours. @throws SetupError, which names both and what to install. */
export function refuseSecondTfjs(): void {
  const own = require.resolve(CORE);
  const other = Object.keys(require.cache).find((file) => BUNDLE.test(file) && file !== own);
  if (other === undefined) return;
  const { version } = require(`${CORE}/package.json`) as { version: string };
  throw new SetupError(
    `Cannot use tfjs: two copies of it are loaded, from ${folderOf(other)} and ${folderOf(own)}, expected one; install the version that alexnet-split has, with npm install @tensorflow/tfjs@${version}`,
  );
}

function folderOf(bundle: string): string {
  return dirname(dirname(bundle));
}

refuseSecondTfjs();

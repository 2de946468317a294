/**
 * alexnet-split uses only the backend and the kernels of `@tensorflow/tfjs-node-gpu`. Its own package contains them
 * (`bundleDependencies`), because the published package has an install script, which downloads another TensorFlow, and
 * dependencies that only this script needs. npm packs what the `package.json` in `node_modules` lists, so that file is
 * rewritten here. This happens at every start from a clone, because `.npmrc` keeps npm from running scripts when it packs.
 */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeWhole } from './processes.mjs';

export const PACKAGE = '@tensorflow/tfjs-node-gpu';
/** What `src/native/binding/` imports. */
const ENTRIES = ['dist/io/file_system.js', 'dist/nodejs_kernel_backend.js', 'dist/register_all_kernels.js'];
const DECLARATIONS = ['dist/register_all_kernels.d.ts'];
const LICENSE = join(dirname(fileURLToPath(import.meta.url)), 'licenses', 'Apache-2.0.txt');

/**
 * Rewrites the package's `package.json`, unless that was done before. The other files of the package stay as they are.
 * @param root folder of the clone.
 * @returns why that is impossible: the package is absent or damaged, or its folder is read-only. This matters only for packing.
 */
export function keepUsedParts(root) {
  const folder = join(root, 'node_modules', PACKAGE);
  try {
    const original = JSON.parse(fs.readFileSync(join(folder, 'package.json'), 'utf8'));
    const isDone = original.scripts === undefined && ENTRIES.every((entry) => original.files.includes(entry));
    if (isDone) makeNewer(root, folder);
    else rewrite(folder, original);
    return undefined;
  } catch (error) {
    return error.message;
  }
}

function rewrite(folder, { name, version, license, repository }) {
  const changed = {
    '//': `Changed by alexnet-split: only the used parts of ${name} ${version} are listed, without its install script.`,
    ...{ name, version, license, repository },
    // No dependencies, not even peer dependencies: npm would assume that they are packed too, and not fetch them.
    files: [...loadedFiles(fs.realpathSync(folder)), ...DECLARATIONS],
  };
  fs.copyFileSync(LICENSE, join(folder, 'LICENSE'));
  // This replaces the file. To change it in place could change the clone's copies, which may share it by a hard link.
  writeWhole(join(folder, 'package.json'), `${JSON.stringify(changed, null, 2)}\n`);
}

/** The entries, and the files that they load. */
function loadedFiles(folder) {
  const files = new Set(ENTRIES);
  // A set's loop also visits what is added during the loop.
  for (const file of files) {
    const { resolve } = createRequire(join(folder, file));
    const text = fs.readFileSync(join(folder, file), 'utf8');
    for (const [, name] of text.matchAll(/\brequire\(["'](\.[^"']+)["']\)/g)) {
      files.add(relative(folder, resolve(name)).replaceAll(sep, '/'));
    }
  }
  return [...files].sort();
}

/** npm trusts its list of installed packages, unless the folder of a package is newer than the list. */
function makeNewer(root, folder) {
  const list = fs.statSync(join(root, 'node_modules', '.package-lock.json'), { throwIfNoEntry: false });
  if (list === undefined || fs.statSync(folder).mtimeMs > list.mtimeMs) return;
  const now = new Date();
  fs.utimesSync(folder, now, now);
}

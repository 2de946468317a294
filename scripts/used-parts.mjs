/**
 * Of `@tensorflow/tfjs-node-gpu` only the backend and its kernels are used. alexnet-split's own package brings these with
 * it (`bundleDependencies`), for the package as it is published has an install script that downloads another TensorFlow,
 * and packages that only this script needs. npm packs what `package.json` in `node_modules` names, so that one is
 * rewritten here. Every start from a clone does it: `.npmrc` keeps npm from running a script when it packs.
 */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

export const PACKAGE = '@tensorflow/tfjs-node-gpu';
/** What `src/native/binding/` imports of it. */
const ENTRIES = ['dist/nodejs_kernel_backend.js', 'dist/register_all_kernels.js'];
/** What our declarations import of it. */
const DECLARATIONS = ['dist/register_all_kernels.d.ts'];
const LICENSE = join(dirname(fileURLToPath(import.meta.url)), 'licenses', 'Apache-2.0.txt');

/**
 * Has the package name what is used of it, and nothing else: no scripts, no packages that only they need. Its files stay
 * where they are. Costs a few file reads once it is done.
 * @param root folder of the clone.
 * @returns why it is not so, where the package is absent or damaged, or its folder cannot be written: only packing needs it.
 */
export function keepUsedParts(root) {
  const folder = join(root, 'node_modules', PACKAGE);
  try {
    const original = JSON.parse(fs.readFileSync(join(folder, 'package.json'), 'utf8'));
    if (original.scripts === undefined) makeNewer(root, folder);
    else rewrite(folder, original);
    return undefined;
  } catch (error) {
    return error.message;
  }
}

function rewrite(folder, { name, version, license, repository }) {
  const changed = {
    '//': `Changed by alexnet-split: what it does not use of ${name} ${version} is left out, and the install script with it.`,
    ...{ name, version, license, repository },
    // It names no package that it needs, also not as a peer: npm takes one beside it for packed too, and does not fetch it.
    files: [...reached(folder), ...DECLARATIONS],
  };
  fs.copyFileSync(LICENSE, join(folder, 'LICENSE'));
  const file = join(folder, 'package.json');
  // Whole, and another file: a copy of the folder may share the old one by a hard link.
  fs.writeFileSync(`${file}.${process.pid}`, `${JSON.stringify(changed, null, 2)}\n`);
  fs.renameSync(`${file}.${process.pid}`, file);
}

/** The files that are loaded with the entries. */
function reached(folder) {
  const files = new Set();
  const visit = (file) => {
    if (files.has(file)) return;
    files.add(file);
    const { resolve } = createRequire(join(folder, file));
    const text = fs.readFileSync(join(folder, file), 'utf8');
    for (const [, wanted] of text.matchAll(/\brequire\(["'](\.[^"']+)["']\)/g)) {
      visit(posix.relative(real(folder), real(resolve(wanted))));
    }
  };
  for (const entry of ENTRIES) visit(entry);
  return [...files].sort();
}

function real(path) {
  return fs.realpathSync(path).replaceAll('\\', '/');
}

/** npm takes its list of what is installed for the truth, unless a package's folder is newer. */
function makeNewer(root, folder) {
  const list = fs.statSync(join(root, 'node_modules', '.package-lock.json'), { throwIfNoEntry: false });
  if (list === undefined || fs.statSync(folder).mtimeMs > list.mtimeMs) return;
  const now = new Date();
  fs.utimesSync(folder, now, now);
}

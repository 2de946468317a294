/** Compiles a clone with tsc. A stamp file shows in milliseconds whether that is needed, for which tsc takes a second. */
import fs from 'node:fs';
import { join, sep } from 'node:path';
import { bundlePage, PAGE_BUNDLE, PAGE_FOLDER } from './bundle.mjs';
import { bundleTower, TOWER_BUNDLE, TOWER_ENTRY } from './bundle-tower.mjs';
import { packagesId } from './packages.mjs';
import { readText, run, say, writeWhole } from './processes.mjs';

const FOLDERS = ['src', 'scripts', 'test'];
const stampFile = (root) => join(root, 'dist', '.alexnet-split-build');

/** Whether all compiled files exist, and no source has changed since. */
export function isBuilt(root) {
  const sources = listSources(root);
  const outputs = sources.map((each) => outputOf(root, each));
  if (sources.includes(TOWER_ENTRY)) outputs.push(join(root, TOWER_BUNDLE));
  return readText(stampFile(root)) === stampOf(root, sources) && outputs.every((each) => fs.existsSync(each));
}

/**
 * @param lock descriptor of the set-up's lock, which the compiler keeps.
 * @param beforeChange called after the stamp is removed and before anything else changes. Throws if nothing may change.
 */
export async function build(root, lock, beforeChange) {
  fs.rmSync(stampFile(root), { force: true });
  beforeChange();
  say('compiling (tsc)');
  const sources = listSources(root);
  const stamp = stampOf(root, sources); // before tsc reads them: edits in the meantime are compiled next time
  const outputs = sources.map((each) => outputOf(root, each));
  removeStale(root, new Set(outputs));
  // tsc assumes that its earlier outputs are still there.
  if (!outputs.every((each) => fs.existsSync(each))) fs.rmSync(join(root, 'dist', '.tsbuildinfo'), { force: true });
  await run('tsc', [process.execPath, join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', root], root, lock);
  if (sources.some(isOfPage)) await bundlePage(root, lock);
  if (sources.includes(TOWER_ENTRY)) await bundleTower(root);
  writeWhole(stampFile(root), stamp);
}

/** Returns the paths of the TypeScript files, and of the style of the page, relative to the clone. */
export function listSources(root) {
  return FOLDERS.filter((each) => fs.existsSync(join(root, each)))
    .flatMap((folder) => fs.readdirSync(join(root, folder), { recursive: true }).map((name) => join(folder, name)))
    .filter((path) => !path.includes('node_modules') && (isOfPage(path) || /(?<!\.d)\.ts$/.test(path)))
    .sort();
}

/** Whether a source runs in the browser. All of these have one output. */
function isOfPage(source) {
  return source.startsWith(PAGE_FOLDER + sep);
}

export function outputOf(root, source) {
  if (isOfPage(source)) return join(root, PAGE_BUNDLE);
  return join(root, 'dist', source.replace(/\.ts$/, '.js'));
}

/** A text that changes when a source is edited, added or removed. */
function stampOf(root, sources) {
  const bundlers = ['bundle.mjs', 'bundle-tower.mjs'].map((name) => join('scripts', name));
  const lines = ['tsconfig.json', ...bundlers, ...sources].map((path) => {
    const { mtimeMs, size } = fs.statSync(join(root, path));
    return `${path} ${Math.round(mtimeMs)} ${size}\n`; // a copy keeps whole milliseconds
  });
  return `${packagesId(root)}\n${lines.join('')}`;
}

/** Removes the outputs of sources that no longer exist. */
function removeStale(root, outputs) {
  for (const folder of FOLDERS.map((each) => join(root, 'dist', each)).filter((each) => fs.existsSync(each))) {
    for (const name of fs.readdirSync(folder, { recursive: true })) {
      const [, stem] = /^(.*)(?:\.d\.ts|\.js|\.js\.map)$/.exec(name) ?? [];
      if (stem !== undefined && !outputs.has(join(folder, `${stem}.js`))) fs.rmSync(join(folder, name));
    }
  }
}

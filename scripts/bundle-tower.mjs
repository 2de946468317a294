/**
 * Bundles the thread of a tower with all modules that it loads into one file, `dist/src/tower/worker.bundle.cjs`, because a
 * thread loads each module anew. `src/tower/thread-file.ts` says when it is used.
 *
 * In it are this program's compiled modules and {@link BUNDLED}, except the parts of tfjs that a tower does not use.
 * All other packages stay outside: those with machine code cannot be bundled, and others are loaded rarely.
 */
import fs from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundle, licenses } from './bundle.mjs';
import { SetupFailure, writeWhole } from './processes.mjs';

export const TOWER_ENTRY = join('src', 'tower', 'worker.ts');
export const TOWER_BUNDLE = join('dist', 'src', 'tower', 'worker.bundle.cjs');

/** Their versions are exact in `package.json`, so everyone has the same. */
const BUNDLED = ['@tensorflow/tfjs', '@tensorflow/tfjs-core', '@tensorflow/tfjs-node-gpu', 'msgpackr'];

/**
 * The start of the bundle. If a preload has loaded tfjs in the thread, the thread uses that copy, through the modules.
 * `__moduleUrl` replaces `import.meta.url`, for a module's path in `dist/src/`; `__requireIn` is `require` as in a package.
 */
const START = `"use strict";
if (globalThis._tfGlobals) {
  Object.assign(exports, { __esModule: true, default: import('./worker.js').then((worker) => worker.default) });
  return;
}
const __moduleUrl = (path) => require('node:url').pathToFileURL(require('node:path').join(__dirname, '..', path)).href;
const __requireIn = (name) => require('node:module').createRequire(require.resolve(name));
`;

/**
 * Makes the bundle from the compiled modules.
 * @throws SetupFailure if esbuild does not run, or if something cannot be bundled.
 */
export async function bundleTower(root) {
  const file = join(root, TOWER_BUNDLE);
  const towers = fs.realpathSync(dirname(file));
  const compiled = (name) => import(pathToFileURL(join(towers, name)).href);
  const { UNUSED_PARTS } = await compiled('unused-parts.js');
  const { digestOf, HEAD_START } = await compiled('thread-file.js');
  const { dependencies } = JSON.parse(fs.readFileSync(join(root, 'package.json'), 'utf8'));
  /** What esbuild was given of each file: a compiler or npm that runs by hand may change it in the meantime. */
  const contents = new Map();
  const { outputFiles } = await bundle(root, TOWER_ENTRY, {
    entryPoints: [join(towers, 'worker.js')],
    absWorkingDir: towers,
    platform: 'node',
    format: 'cjs',
    mainFields: ['main'],
    target: 'node20',
    keepNames: true, // errors are made again by the name of their class
    logOverride: { 'empty-import-meta': 'error' },
    plugins: [partsPlugin(dirname(towers), UNUSED_PARTS, Object.keys(dependencies), contents)],
  });
  const unused = join(towers, 'unused-parts.js'); // it decides what is in the bundle
  contents.set(unused, fs.readFileSync(unused));
  const { parts, files } = sorted(dirname(towers), [...contents.keys()]);
  const read = (path, name = '') => contents.get(files.get(join(name, path)));
  const head = JSON.stringify({ ...parts, digest: digestOf(parts, read) });
  const texts = licenses(Object.keys(parts.packages).map((name) => join(root, 'node_modules', name)));
  writeWhole(file, `${HEAD_START}${head}\n${texts}\n${START}${outputFiles[0].text}`);
}

/**
 * An esbuild plugin that decides what is in the bundle.
 * @param own folder of this program's modules. @param contents gets the bytes of each file in the bundle.
 */
function partsPlugin(own, unused, dependencies, contents) {
  const isOwn = (path) => path.startsWith(own + sep);
  const setup = (build) => {
    build.onResolve({ filter: /^@tensorflow\/tfjs-/ }, ({ path }) =>
      unused.includes(path.replace('@tensorflow/tfjs-', '')) ? { path, namespace: 'nothing' } : undefined,
    );
    build.onResolve({ filter: /core-only\.js$/ }, ({ path }) => ({ path, namespace: 'nothing' }));
    build.onLoad({ filter: /^/, namespace: 'nothing' }, () => ({ contents: '' }));

    build.onResolve({ filter: /^[^./]/ }, ({ path, importer }) => {
      const name = packageIn(path);
      if (isBuiltin(path) || BUNDLED.includes(name)) return undefined;
      if (isOwn(importer) || dependencies.includes(name)) return { path, external: true };
      // A dependency of a package is found from there.
      return { path, namespace: 'outside', pluginData: packageOf(importer).name };
    });
    build.onLoad({ filter: /^/, namespace: 'outside' }, ({ path, pluginData }) => ({
      contents: `module.exports = __requireIn(${JSON.stringify(pluginData)})(${JSON.stringify(path)});`,
    }));

    build.onLoad({ filter: /^/, namespace: 'file' }, ({ path }) => {
      const bytes = fs.readFileSync(path);
      contents.set(path, bytes);
      return { contents: isOwn(path) ? bundleable(bytes.toString(), relative(own, path)) : bytes, loader: 'default' };
    });
  };
  return { name: 'parts', setup };
}

/** tsc makes a function of `import … = require()`, which esbuild does not know as `require`. */
function bundleable(text, path) {
  return text
    .replace('import { createRequire as _createRequire } from "module";\n', '')
    .replace('const __require = _createRequire(import.meta.url);\n', '')
    .replace(/\b__require\(/g, 'require(')
    .replaceAll('import.meta.url', `__moduleUrl(${JSON.stringify(path.replaceAll(sep, '/'))})`);
}

/** Sorts files into `BundleParts` of `src/tower/thread-file.ts`. Returns also each file by its package and path in it. */
function sorted(own, all) {
  const parts = { own: [], packages: {} };
  const files = new Map();
  for (const file of all.sort()) {
    const { name, path } = file.startsWith(own + sep) ? { path: relative(own, file) } : packageOf(file);
    if (name !== undefined) parts.packages[name] ??= [];
    (name === undefined ? parts.own : parts.packages[name]).push(path);
    const key = join(name ?? '', path);
    if (files.has(key)) throw new SetupFailure(`Cannot bundle ${TOWER_ENTRY}: ${twoCopies(files.get(key), file)}`);
    files.set(key, file);
  }
  return { parts, files };
}

function twoCopies(first, second) {
  return `there are ${first} and ${second}, expected one of them; remove node_modules and run the command again`;
}

/** The package of a file in `node_modules`, and the file's path in it. */
function packageOf(file) {
  const path = file.split(`${sep}node_modules${sep}`).at(-1);
  const name = packageIn(path.replaceAll(sep, '/'));
  return { name, path: path.slice(name.length + 1) };
}

/** The package's name in what a module imports. */
function packageIn(path) {
  return /^(?:@[^/]+\/)?[^/]+/.exec(path)[0];
}

/**
 * Bundles what runs in the browser, `src/report/page/`, with Apache ECharts into one file: `dist/src/report/page.json`.
 * It has the script and the style of a report's page as texts, which `src/report/html.ts` puts into each page.
 */
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { run, SetupFailure, writeWhole } from './processes.mjs';

export const PAGE_FOLDER = join('src', 'report', 'page');
export const PAGE_BUNDLE = join('dist', 'src', 'report', 'page.json');

/** The libraries in the bundle. Their licences ask for their texts to go along with every copy. */
const LIBRARIES = ['echarts', 'zrender', join('echarts', 'node_modules', 'tslib')];
const LICENSE_FILES = ['LICENSE', 'LICENSE.txt', 'NOTICE'];
const APACHE = join(dirname(fileURLToPath(import.meta.url)), 'licenses', 'Apache-2.0.txt');

/**
 * Checks the types of the page's sources and bundles them.
 * @param lock descriptor of the set-up's lock, which the compiler keeps.
 * @throws SetupFailure if they do not compile, or esbuild does not run.
 */
export async function bundlePage(root, lock) {
  const modules = join(root, 'node_modules');
  const compiler = join(modules, 'typescript', 'bin', 'tsc');
  await run('tsc', [process.execPath, compiler, '-p', join(root, PAGE_FOLDER)], root, lock);
  const entries = ['main.ts', 'style.css'].map((each) => join(root, PAGE_FOLDER, each));
  const { outputFiles } = await bundle(root, PAGE_FOLDER, {
    entryPoints: entries,
    minify: true,
    charset: 'ascii',
    legalComments: 'none',
    target: ['chrome100', 'firefox100', 'safari15'],
    define: { 'process.env.NODE_ENV': '"production"' },
    format: 'iife',
    outdir: root,
  });
  const [script, style] = ['.js', '.css'].map((end) => outputFiles.find(({ path }) => path.endsWith(end)).text.trim());
  const texts = licenses(LIBRARIES.map((name) => join(modules, name)));
  writeWhole(join(root, PAGE_BUNDLE), `${JSON.stringify({ script: `${texts}\n${script}`, style })}\n`);
}

/**
 * Runs esbuild. @param what the sources, for messages. @returns its result, with the files that it did not write.
 * @throws SetupFailure if they cannot be bundled, or esbuild does not run.
 */
export async function bundle(root, what, options) {
  try {
    const { build } = await import(pathToFileURL(join(root, 'node_modules', 'esbuild', 'lib', 'main.js')).href);
    return await build({ ...options, bundle: true, write: false, logLevel: 'silent' });
  } catch (error) {
    const cause = error.errors ? '' : 'esbuild does not run: ';
    const remedy = error.errors
      ? ''
      : '; remove node_modules and run the command again, to install it for this machine';
    throw new SetupFailure(`Cannot bundle ${what}: ${cause}${error.message}${remedy}`);
  }
}

/** The licence texts of packages, as one comment. @param folders the packages'. */
export function licenses(folders) {
  const texts = folders.map((folder) => {
    const { name, version, license } = JSON.parse(fs.readFileSync(join(folder, 'package.json'), 'utf8'));
    const files = LICENSE_FILES.map((file) => join(folder, file)).filter((file) => fs.existsSync(file));
    // The packages of tfjs name their licence, and do not contain it.
    if (files.length === 0 && license === 'Apache-2.0') files.push(APACHE);
    const own = files.map((file) => fs.readFileSync(file, 'utf8').trim());
    return [`${name} ${version}`, ...own].join('\n\n');
  });
  return `/*!\n${texts.join('\n\n').replaceAll('*/', '* /').replaceAll('\r', '')}\n*/`;
}

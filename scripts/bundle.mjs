/**
 * Bundles what runs in the browser, `src/report/page/`, with Apache ECharts into one file: `dist/src/report/page.json`.
 * It has the script and the style of a report's page as texts, which `src/report/html.ts` puts into each page.
 */
import fs from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { run, SetupFailure, writeWhole } from './processes.mjs';

export const PAGE_FOLDER = join('src', 'report', 'page');
export const PAGE_BUNDLE = join('dist', 'src', 'report', 'page.json');

/** The libraries in the bundle. Their licences ask for their texts to go along with every copy. */
const LIBRARIES = ['echarts', 'zrender', join('echarts', 'node_modules', 'tslib')];
const LICENSE_FILES = ['LICENSE', 'LICENSE.txt', 'NOTICE'];

/**
 * Checks the types of the page's sources and bundles them.
 * @param lock descriptor of the set-up's lock, which the compiler keeps.
 * @throws SetupFailure if they do not compile, or esbuild does not run.
 */
export async function bundlePage(root, lock) {
  const modules = join(root, 'node_modules');
  const compiler = join(modules, 'typescript', 'bin', 'tsc');
  await run('tsc', [process.execPath, compiler, '-p', join(root, PAGE_FOLDER)], root, lock);
  const options = {
    bundle: true,
    minify: true,
    write: false,
    charset: 'ascii',
    legalComments: 'none',
    logLevel: 'silent',
  };
  const entries = ['main.ts', 'style.css'].map((each) => join(root, PAGE_FOLDER, each));
  try {
    const { build } = await import(pathToFileURL(join(modules, 'esbuild', 'lib', 'main.js')).href);
    const target = ['chrome100', 'firefox100', 'safari15'];
    const define = { 'process.env.NODE_ENV': '"production"' };
    const { outputFiles } = await build({
      ...options,
      target,
      define,
      entryPoints: entries,
      format: 'iife',
      outdir: root,
    });
    const [script, style] = ['.js', '.css'].map((end) =>
      outputFiles.find(({ path }) => path.endsWith(end)).text.trim(),
    );
    writeWhole(join(root, PAGE_BUNDLE), `${JSON.stringify({ script: `${licenses(modules)}\n${script}`, style })}\n`);
  } catch (error) {
    if (error.syscall) throw error; // a file could not be written
    const cause = error.errors ? '' : 'esbuild does not run: ';
    const remedy = error.errors
      ? ''
      : '; remove node_modules and run the command again, to install it for this machine';
    throw new SetupFailure(`Cannot bundle ${PAGE_FOLDER}: ${cause}${error.message}${remedy}`);
  }
}

/** The licence texts of the libraries, as one comment. */
function licenses(modules) {
  const texts = LIBRARIES.map((name) => {
    const folder = join(modules, name);
    const { version } = JSON.parse(fs.readFileSync(join(folder, 'package.json'), 'utf8'));
    const files = LICENSE_FILES.map((file) => join(folder, file)).filter((file) => fs.existsSync(file));
    const own = files.map((file) => fs.readFileSync(file, 'utf8').trim());
    return [`${name.split(/[\\/]/).at(-1)} ${version}`, ...own].join('\n\n');
  });
  return `/*!\n${texts.join('\n\n').replaceAll('*/', '* /').replaceAll('\r', '')}\n*/`;
}

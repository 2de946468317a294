/** The bundle of the page, where its bundler does not run. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { pathToFileURL } from 'node:url';
import { folderOf } from '../data/sets.js';
import { ROOT } from '../native/child.js';

const url = (file: string) => JSON.stringify(pathToFileURL(join(ROOT, 'scripts', file)).href);

/** What bundlePage() throws in a clone that has these files in node_modules. */
function failure(root: string, modules: Record<string, string>): string {
  for (const [path, text] of Object.entries({ 'typescript/bin/tsc': '', ...modules })) {
    const file = join(root, 'node_modules', path);
    fs.mkdirSync(dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
  }
  const code = `import { bundlePage } from ${url('bundle.mjs')};
    import { SetupFailure } from ${url('processes.mjs')};
    await bundlePage(${JSON.stringify(root)}, 'ignore').catch((error) => console.log(error instanceof SetupFailure, error.message));`;
  return spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' }).stdout.trim();
}

test('a bundler that does not run, or is not there, is one sentence', (t) => {
  const root = folderOf(t, {});
  const remedy = 'remove node_modules and run the command again, to install it for this machine';
  assert.match(
    failure(root, {}),
    new RegExp(`^true Cannot bundle .*: esbuild does not run: Cannot find .*; ${remedy}$`),
  );
  const stopped = 'exports.build = async () => { throw new Error("The service was stopped: spawn EACCES"); }';
  assert.match(
    failure(root, { 'esbuild/lib/main.js': stopped }),
    new RegExp(`^true Cannot bundle .*: esbuild does not run: The service was stopped: spawn EACCES; ${remedy}$`),
  );
});

test('a mistake in the page is named as it is', (t) => {
  const failing = 'exports.build = async () => { throw Object.assign(new Error("main.ts:1: no"), { errors: [{}] }); }';
  assert.match(
    failure(folderOf(t, {}), { 'esbuild/lib/main.js': failing }),
    /^true Cannot bundle .*page: main\.ts:1: no$/,
  );
});

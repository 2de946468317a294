/** Runs tfjs-core's own tests in a process of their own. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { runProgram } from '../child.js';
import type { CoreOutcome } from './tfjs-core-outcome.js';

/** Tests that tfjs-node itself skips: as many as there are today. */
const SKIPPED = 352;

/**
 * Runs them on a device. What fails is the caller's to judge; all else has to be as it was.
 * @param passed so many have passed before: as many have to pass now.
 * @param env of the process that runs them.
 */
export async function runCoreTests(device: string, passed: number, env?: NodeJS.ProcessEnv): Promise<CoreOutcome> {
  const folder = mkdtempSync(join(tmpdir(), 'tfjs-core-'));
  try {
    const bundle = join(folder, 'tests.cjs');
    await bundleCoreTests(bundle);
    const { code, stdout, stderr } = await runProgram('tfjs-core', [bundle, device], env);
    assert.equal(code, 0, stderr);
    const outcome: CoreOutcome = JSON.parse(stdout.trim().split('\n').at(-1)!);
    assert.deepEqual(outcome.elsewhere, []);
    assert.ok(outcome.passed >= passed, `${outcome.passed} pass, and ${passed} did: ${JSON.stringify(outcome.failed)}`);
    assert.ok(outcome.skipped <= SKIPPED, `${outcome.skipped} are skipped, and ${SKIPPED} were`);
    return outcome;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What the bundle gives by name, as `require` would: what tfjs-node's own `run_tests.js` asks for of tfjs-core. */
const MODULES = ['jasmine_util', 'register_all_gradients', 'public/chained_ops/register_all_chained_ops', 'tests'];

/**
 * Bundles the tests that `@tensorflow/tfjs-core` brings with it. They are ES modules that import each other without a
 * file's extension, which only a bundler resolves. The bundle holds a tfjs-core of its own, which finds the engine, the
 * backends and the kernels of this process's where tfjs-core keeps them, on `globalThis`.
 * @param file where it is written; it exports a function from a module's name to the module.
 */
async function bundleCoreTests(file: string): Promise<void> {
  const cases = MODULES.map((name) => `@tensorflow/tfjs-core/dist/${name}`).map(
    (name) => `case '${name}': return require('${name}');`,
  );
  await build({
    stdin: {
      contents: `module.exports = (name) => { switch (name) { ${cases.join('\n')} } };`,
      resolveDir: fileURLToPath(new URL('.', import.meta.url)),
    },
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    ignoreAnnotations: true, // else what is imported for its effects alone, as every test is, is dropped
    logLevel: 'error',
  });
}

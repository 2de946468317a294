/** Runs tfjs-core's own tests in a separate process. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { runProgram } from '../child.js';
import type { CoreOutcome } from './tfjs-core-outcome.js';

/** The number of tests that tfjs-node itself skips today. */
const SKIPPED = 352;

/**
 * Runs them on a device. The caller judges the failures.
 * @param passed the number of tests that have to pass.
 * @param env the environment of their process.
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

/** The modules of tfjs-core that tfjs-node's own `run_tests.js` requires; the bundle gives them by name. */
const MODULES = ['jasmine_util', 'register_all_gradients', 'public/chained_ops/register_all_chained_ops', 'tests'];

/**
 * Bundles the tests in `@tensorflow/tfjs-core`. They are ES modules that import each other without file extensions, which
 * only a bundler resolves. The bundle has its own copy of tfjs-core, which finds this process's engine, backends and kernels
 * on `globalThis`, where tfjs-core keeps them.
 * @param file the output file, which exports a function from a module's name to the module.
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
    ignoreAnnotations: true, // otherwise modules that are imported only for their effects, as every test is, are dropped
    logLevel: 'error',
  });
}

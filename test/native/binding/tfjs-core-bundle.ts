/** tfjs-core's own tests as one file that Node.js can load. */
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** What the bundle gives by name, as `require` would: what tfjs-node's own `run_tests.js` asks for of tfjs-core. */
const MODULES = ['jasmine_util', 'register_all_gradients', 'public/chained_ops/register_all_chained_ops', 'tests'];

/**
 * Bundles the tests that `@tensorflow/tfjs-core` brings with it. They are ES modules that import each other without a
 * file's extension, which only a bundler resolves. The bundle holds a tfjs-core of its own, which finds the engine, the
 * backends and the kernels of this process's where tfjs-core keeps them, on `globalThis`.
 * @param file where it is written; it exports a function from a module's name to the module.
 */
export async function bundleCoreTests(file: string): Promise<void> {
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

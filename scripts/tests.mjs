/** Chooses and runs the tests of a clone, which is compiled. */
import { relative, sep } from 'node:path';
import { listSources, outputOf } from './build.mjs';
import { SetupFailure, start } from './processes.mjs';

/**
 * @param args parts of paths: the tests that have one of them in their path are chosen, and all tests where there is none.
 * Flags are for Node.js.
 * @returns arguments of `node --test`.
 */
export function chooseTests(root, args) {
  const flags = args.filter((each) => each.startsWith('-'));
  const parts = args.filter((each) => !each.startsWith('-')).map((each) => each.replace(/^\.\/|^dist\/|\.[tj]s$/g, ''));
  const all = listSources(root).filter((path) => path.startsWith(`test${sep}`) && path.endsWith('.test.ts'));
  const chosen = all.filter((path) => parts.length === 0 || parts.some((part) => path.includes(part)));
  if (chosen.length === 0)
    throw new SetupFailure(`Cannot test: no file of test/ has ${parts.join(' or ')} in its path`);
  return [...flags, ...chosen.map((path) => relative(root, outputOf(root, path)))];
}

/** Runs one file more than there are cores, because some of them wait at any time; more than four at once take memory. */
export function runTests(root, tests, cores) {
  const concurrency = Math.min(4, cores + 1);
  const flags = ['--enable-source-maps', '--test', '--test-reporter=spec', `--test-concurrency=${concurrency}`];
  return start([process.execPath, ...flags, ...tests], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
}

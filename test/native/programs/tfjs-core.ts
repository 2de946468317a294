/**
 * Runs tfjs-core's own tests on a device like tfjs-node: by its `run_tests.js`, with its list of tests to skip, but on our
 * binding instead of its addon. `node tfjs-core.js BUNDLE DEVICE` prints the results as JSON.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import tf = require('@tensorflow/tfjs');

import { useDevice } from '../../../src/native/index.js';
import type { CoreOutcome } from '../binding/tfjs-core-outcome.js';

/** The part of jasmine 3.99 that is used here. */
interface JasmineEnv {
  configure(options: { random: boolean }): void;
  addReporter(reporter: {
    specDone(spec: Spec): void;
    jasmineDone(all: { failedExpectations: Failure[] }): void;
  }): void;
  execute(): void;
}
interface Failure {
  message: string;
}
interface Spec {
  fullName: string;
  status: 'passed' | 'failed' | 'excluded' | 'pending';
  failedExpectations: Failure[];
}

const require = createRequire(import.meta.url);
const [bundle, device] = process.argv.slice(2) as [string, string];

useDevice(device);
const jasmineRequire = require('jasmine-core');
const jasmine = jasmineRequire.boot(jasmineRequire) as { getEnv(): JasmineEnv };
const env = jasmine.getEnv();
registerTests(require(bundle));
env.configure({ random: false });

const outcome: CoreOutcome = { passed: 0, skipped: 0, failed: [], elsewhere: [] };
env.addReporter({
  specDone: ({ fullName, status, failedExpectations }) => {
    if (status === 'passed') outcome.passed++;
    else if (status === 'failed') outcome.failed.push([fullName, failedExpectations.map(({ message }) => message)]);
    else outcome.skipped++;
  },
  jasmineDone: ({ failedExpectations }) => {
    outcome.elsewhere.push(...failedExpectations.map(({ message }) => message));
    process.stdout.write(`\n${JSON.stringify(outcome)}\n`);
  },
});
env.execute();

/** Runs tfjs-node's `run_tests.js` without starting the tests: it imports them and says which to skip. */
function registerTests(core: (name: string) => unknown): void {
  const file = require.resolve('@tensorflow/tfjs-node-gpu/dist/run_tests.js');
  const run = new Function('require', 'exports', 'jasmine', 'console', readFileSync(file, 'utf8'));
  /** Its runner is jasmine's command line, which looks for files; here jasmine is run by this program. */
  class Runner {
    loadConfig() {}
    execute() {}
  }
  const own: Record<string, unknown> = { './index': {}, '@tensorflow/tfjs': tf, yargs: { argv: {} }, jasmine: Runner };
  run((name: string) => own[name] ?? core(name), {}, jasmine, { log() {} });
}

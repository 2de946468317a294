/**
 * Runs every op with a kernel in tfjs-node, on every data type and its edge values, on a device and on tfjs's plain backend:
 * `node tfjs-core-differences.js DEVICE` prints the differences as JSON.
 */
import tf = require('@tensorflow/tfjs');

import { useDevice } from '../../../src/native/index.js';
import { ACCEPTED, type Difference } from '../binding/tfjs-core-accepted.js';
import { alongAxes } from '../binding/tfjs-core-axes.js';
import { convolutionsAndPools } from '../binding/tfjs-core-convolutions.js';
import { elementwise } from '../binding/tfjs-core-elementwise.js';
import { byFormula, byLinearity, byParts, byPlainBackend, type Outcome, type Output, outcomeOf } from '../binding/tfjs-core-expected.js'; // biome-ignore format: one import
import { imagesAndMatrices } from '../binding/tfjs-core-images.js';
import { byIndices } from '../binding/tfjs-core-indices.js';
import type { Findings } from '../binding/tfjs-core-outcome.js';
import type { Case } from '../binding/tfjs-core-values.js';

const DEVICE = process.argv[2]!;
const TOLERANCE = 1e-5;

tf.env().set('PROD', true); // otherwise tfjs's plain backend recommends another one on stderr
useDevice(DEVICE);

const cases = [...elementwise(), ...alongAxes(), ...byIndices(), ...convolutionsAndPools(), ...imagesAndMatrices()];
const findings: Findings = { cases: cases.length, compared: 0, differences: [], stale: [], refused: {}, uncompared: {}, notRun: [] }; // biome-ignore format: a record
const met = new Set<object>();
const hasCompared = new Set<string>();
const ran = new Set<string>();

noteKernels();
const outcomes = cases.map((each) => outcomeOf(each));
tf.setBackend('cpu');
for (const [i, each] of cases.entries()) compare(each, outcomes[i]!);
findings.stale = ACCEPTED.filter((each) => !met.has(each)).map(({ of, why }) => `${of}: ${why}`);
findings.notRun = tf.getKernelsForBackend('tensorflow').map(({ kernelName }) => kernelName).filter((name) => !ran.has(name)); // biome-ignore format: a chain
process.stdout.write(`\n${JSON.stringify(findings)}\n`);

/** Collects the names of the kernels that run on the device. */
function noteKernels(): void {
  const engine = tf.engine() as unknown as { runKernel(name: string, ...rest: unknown[]): unknown };
  const { runKernel } = engine;
  engine.runKernel = (name, ...rest) => {
    if (tf.getBackend() === 'tensorflow') ran.add(name);
    return runKernel.call(engine, name, ...rest);
  };
}

function compare(each: Case, actual: Outcome): void {
  const key = `${each.op} (${each.dtypes})`;
  if ('error' in actual) {
    if ('error' in byPlainBackend(each)) return;
    findings.refused[key] = [...(findings.refused[key] ?? []), actual.error];
    return;
  }
  const expected = byFormula(each, actual) ?? byLinearity(each) ?? byParts(each) ?? byPlainBackend(each);
  if ('error' in expected) {
    if (!hasCompared.has(key)) findings.uncompared[key] = expected.error;
    return;
  }
  findings.compared++;
  hasCompared.add(key);
  delete findings.uncompared[key];
  if (!actual.isPure) findings.differences.push(`${key} ${each.what}: changed its inputs`);
  if (actual.outputs.length !== expected.outputs.length) {
    findings.differences.push(`${key} ${each.what}: ${actual.outputs.length} outputs, not ${expected.outputs.length}`);
  }
  for (const [i, output] of actual.outputs.entries())
    compareOutputs(key, each.what, output, expected.outputs[i]!, actual.inputs);
}

function compareOutputs(key: string, what: string, actual: Output, expected: Output, inputs: Output[]): void {
  // biome-ignore format: one line
  const accepted = ACCEPTED.filter(({ of }) => of.test(key));
  const report = (difference: string) => findings.differences.push(`${key} ${what}: ${difference}`);
  const isAccepted = (difference: Difference) => {
    const found = accepted.find(({ is }) => is?.(difference));
    if (found) met.add(found);
    return found !== undefined;
  };
  if (actual.dtype !== expected.dtype) {
    const found = accepted.find(({ dtype }) => dtype === actual.dtype);
    if (!found) return void report(`${actual.dtype}, not ${expected.dtype}`);
    met.add(found);
  }
  if (`${actual.shape}` !== `${expected.shape}`) {
    const found = accepted.find(
      ({ isShape, is }) => isShape && is?.({ actual: '', expected: '', magnitude: 0, at: 0, inputs, what }),
    );
    if (!found) report(`[${actual.shape}], not [${expected.shape}]`);
    return;
  }
  const differences = expected.values.flatMap((value, at) => {
    const parts = expected.dtype === 'complex64' ? [value, expected.values[at ^ 1]!] : [value];
    const magnitude = Math.hypot(...parts.map(Number));
    const difference = { actual: actual.values[at]!, expected: value, magnitude, at, inputs, what };
    return isClose(difference, expected.dtype) || isAccepted(difference) ? [] : [difference];
  });
  const [first] = differences;
  if (!first) return;
  const text = (value: number | string) => (Object.is(value, -0) ? '-0' : `${value}`);
  report(`${text(first.actual)}, not ${text(first.expected)}, at ${first.at}; ${differences.length} of ${expected.values.length}`); // biome-ignore format: a text
}

function isClose({ actual, expected, magnitude }: Difference, dtype: string): boolean {
  if (Object.is(actual, expected)) return true;
  if (typeof actual === 'string' || typeof expected === 'string' || (actual === 0 && expected === 0)) return false;
  if (dtype !== 'float32' && dtype !== 'complex64') return false;
  return Math.abs(actual - expected) <= TOLERANCE * Math.max(1, magnitude);
}

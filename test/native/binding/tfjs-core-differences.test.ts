/** Every op with a kernel in tfjs-node, on every data type and its edge values, against tfjs's plain backend or a formula. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { runProgram } from '../child.js';
import { REFUSALS } from './tfjs-core-accepted.js';
import type { Findings } from './tfjs-core-outcome.js';

/** Kernels that no case runs, and why. */
const NOT_RUN = ['Multinomial']; // random; tfjs-core's own tests run it
/** Ops without a formula and without a kernel in the plain backend. */
const UNCOMPARED = ['cumprod (complex64)', 'prod (complex64)'];
/** The number of cases that run on both backends today, so that a new refusal is noticed. */
const COMPARED = 14_646;

let findings: Findings;

before(async () => {
  const { code, stdout, stderr } = await runProgram('tfjs-core-differences', ['CPU:1']);
  assert.equal(code, 0, stderr);
  findings = JSON.parse(stdout.trim().split('\n').at(-1)!);
});

test('every op gives the expected values, except for accepted differences', () => {
  assert.deepEqual(findings.differences, []);
  assert.deepEqual(findings.stale, [], 'accepted differences that there are not any more');
});

test('every refusal is a known sentence', () => {
  const refusals = Object.entries(findings.refused).flatMap(([op, errors]) => errors.map((error) => `${op}: ${error}`));
  assert.ok(refusals.length > 0);
  assert.deepEqual(
    refusals.filter((each) => !REFUSALS.some((sentence) => sentence.test(each))),
    [],
  );
});

test('every kernel is run, and every op is compared on each of its data types', () => {
  assert.deepEqual(findings.notRun, NOT_RUN);
  assert.deepEqual(Object.keys(findings.uncompared).sort(), UNCOMPARED);
  assert.ok(findings.compared >= COMPARED, `${findings.compared} cases of ${findings.cases} were compared`);
});

/** Which ops run on the host, whatever the device. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isForHost } from '../../../src/native/binding/execute.js';
import { openContext } from '../../../src/native/c/context.js';
import { AttrType, DataType } from '../../../src/native/c/signatures.js';

const { FLOAT, INT32, STRING, UINT8 } = DataType;
const type = (name: string, value: number | number[]) => ({ name, type: AttrType.TYPE, value });

const CASES: [what: string, op: string, attrs: ReturnType<typeof type>[], inputTypes: number[], expected: boolean][] = [
  ['takes strings, whatever its attributes', 'DecodeJpeg', [], [STRING], true],
  ['makes strings alone', 'EncodeJpeg', [], [UINT8], true],
  ['makes strings of numbers', 'AsString', [type('T', FLOAT)], [FLOAT], true],
  ['joins strings', 'ConcatV2', [type('T', STRING), type('Tidx', INT32)], [STRING, STRING, INT32], true],
  ['joins numbers', 'ConcatV2', [type('T', FLOAT), type('Tidx', INT32)], [FLOAT, FLOAT, INT32], false],
  ['has an attribute that is a string', 'Conv2D', [type('T', FLOAT)], [FLOAT, FLOAT], false],
  ['makes strings by an attribute', 'Empty', [type('dtype', STRING)], [INT32], true],
  ['has strings in a list of types', 'Identity', [type('T', [FLOAT, STRING])], [], true],
  ['counts', 'UniqueV2', [type('T', FLOAT)], [FLOAT, INT32], true],
  ['closes a log', 'CloseSummaryWriter', [], [DataType.RESOURCE], true],
  ['has no GPU kernel, but is no such op', 'MatrixExponential', [type('T', FLOAT)], [FLOAT], false],
];

for (const [what, op, attrs, inputTypes, expected] of CASES) {
  test(`isForHost() is ${expected} for an op that ${what}`, () => {
    assert.equal(isForHost(openContext(), op, attrs, inputTypes), expected);
  });
}

test('isForHost() refuses an op that TensorFlow does not have', () => {
  assert.throws(() => isForHost(openContext(), 'NoSuchOp', [], []), /find the op NoSuchOp/);
});

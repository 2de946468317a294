/** Every kind of attribute, single and list, by ops whose results depend on it. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { currentBinding } from '../../../src/native/binding/backend.js';
import type { OpAttr } from '../../../src/native/c/attributes.js';
import { AttrType, DataType } from '../../../src/native/c/signatures.js';
import { useDevice } from '../../../src/native/index.js';

before(() => useDevice('CPU:1'));

const type = (name: string, value: OpAttr['value']) => ({ name, type: AttrType.TYPE, value });
const int = (name: string, value: OpAttr['value']) => ({ name, type: AttrType.INT, value });
const text = (name: string, value: OpAttr['value']) => ({ name, type: AttrType.STRING, value });
const shape = (name: string, value: unknown) => ({ name, type: AttrType.SHAPE, value: value as OpAttr['value'] });
const FLOAT = type('T', DataType.FLOAT);

const floats = (dims: number[], values: number[]) => currentBinding().createTensor(dims, DataType.FLOAT, values);
const strings = (...values: (string | Uint8Array)[]) =>
  currentBinding().createTensor(
    [values.length],
    DataType.STRING,
    values.map((each) => Buffer.from(each as string)),
  );

/** Runs an op, and frees its inputs. @returns the shapes and values of its outputs. */
function outputsOf(op: string, attrs: OpAttr[], inputs: number[], count = 1) {
  const binding = currentBinding();
  const outputs = binding.executeOp(op, attrs, inputs, count);
  const read = outputs.map(({ id, shape }) => ({
    shape,
    values: [...(binding.tensorDataSync(id) as Iterable<unknown>)],
  }));
  for (const id of [...inputs, ...outputs.map((each) => each.id)]) binding.deleteTensor(id);
  return read;
}

const valuesOf = (...args: Parameters<typeof outputsOf>) => outputsOf(...args)[0]!.values;

test('setAttr() string', () => {
  const join = (separator: string) => {
    const joined = valuesOf('StringJoin', [int('N', 2), text('separator', separator)], [strings('a'), strings('b')]);
    return Buffer.from(joined[0] as Uint8Array).toString();
  };
  assert.deepEqual(['-', '', 'ö\0'].map(join), ['a-b', 'ab', 'aö\0b']);
});

test('setAttr() int, also negative', () => {
  const pack = (axis: number) =>
    outputsOf('Pack', [int('N', 2), FLOAT, int('axis', axis)], [floats([3], [1, 2, 3]), floats([3], [4, 5, 6])])[0];
  assert.deepEqual(pack(0)?.shape, [2, 3]);
  assert.deepEqual(pack(-1), { shape: [3, 2], values: [1, 4, 2, 5, 3, 6] });
});

test('setAttr() float', () => {
  const attrs = [FLOAT, { name: 'alpha', type: AttrType.FLOAT, value: 0.25 }];
  assert.deepEqual(valuesOf('LeakyRelu', attrs, [floats([2], [-4, 4])]), [-1, 4]);
});

test('setAttr() bool', () => {
  const product = (value: boolean) => {
    const attrs = [FLOAT, { name: 'transpose_a', type: AttrType.BOOL, value }];
    return valuesOf('MatMul', attrs, [floats([2, 2], [1, 2, 3, 4]), floats([2, 1], [1, 10])]);
  };
  assert.deepEqual([product(false), product(true)], [[21, 43], [31, 42]]); // biome-ignore format: two products
});

test('setAttr() type', () => {
  const attrs = [type('SrcT', DataType.FLOAT), type('DstT', DataType.INT32)];
  assert.deepEqual(valuesOf('Cast', attrs, [floats([2], [1.9, -1.9])]), [1, -1]);
});

test('setAttr() shape: known, partly unknown, scalar, of unknown rank', () => {
  const ensure = (value: unknown, dims = [2, 3]) =>
    outputsOf('EnsureShape', [FLOAT, shape('shape', value)], [floats(dims, Array(dims.length ? 6 : 1).fill(1))])[0]!
      .shape;
  for (const value of [[2, 3], [-1, 3], undefined]) assert.deepEqual(ensure(value), [2, 3]);
  assert.deepEqual(ensure([], []), []);
  assert.throws(() => ensure([3, 2]), /EnsureShape.*INVALID_ARGUMENT.*\[3,2\]/);
  assert.throws(() => ensure([-7]), /set the shape shape of the op EnsureShape|EnsureShape/);
});

test('setAttr() list of ints', () => {
  const attrs = [FLOAT, int('strides', [1, 2, 1, 1]), text('padding', 'VALID'), int('dilations', [1, 1, 2, 1])];
  const [output] = outputsOf('Conv2D', attrs, [
    floats([1, 5, 5, 1], Array(25).fill(1)),
    floats([2, 2, 1, 1], [1, 2, 3, 4]),
  ]);
  assert.deepEqual(output, { shape: [1, 2, 3, 1], values: Array(6).fill(10) });
});

test('setAttr() list of floats', () => {
  const attrs = [FLOAT, { name: 'boundaries', type: AttrType.FLOAT, value: [0, 0.5, 100] }];
  assert.deepEqual(valuesOf('Bucketize', attrs, [floats([4], [-1, 0.4, 0.6, 1000])]), [0, 1, 2, 3]);
});

test('setAttr() accepts a list of bools, though no op of TensorFlow 2.21 has one', () => {
  const attrs = [FLOAT, { name: 'flags', type: AttrType.BOOL, value: [1, 0] }]; // TensorFlow ignores attributes that an op does not have
  assert.deepEqual(valuesOf('Neg', attrs, [floats([1], [1])]), [-1]);
});

test('setAttr() lists of strings, types and shapes', () => {
  // An Example (tensorflow/core/example/example.proto) with float_list a = [1, 2], long_name = [3].
  const example = message(1, Buffer.concat([feature('a', [1, 2]), feature('long_name_of_a_feature', [3])]));
  const attrs = [
    ...[int('num_sparse', 0), text('sparse_keys', []), type('sparse_types', [])],
    text('dense_keys', ['a', 'long_name_of_a_feature', '']),
    type('Tdense', [DataType.FLOAT, DataType.FLOAT, DataType.STRING]),
    shape('dense_shapes', [[2], [1, 1], []]),
  ];
  const scalar = currentBinding().createTensor([], DataType.STRING, [example]);
  const missing = currentBinding().createTensor([], DataType.STRING, [Buffer.from('none')]);
  const inputs = [scalar, floats([2], [0, 0]), floats([1, 1], [0]), missing];
  const outputs = outputsOf('ParseSingleExample', attrs, inputs, 3);
  assert.deepEqual(outputs, [
    { shape: [2], values: [1, 2] },
    { shape: [1, 1], values: [3] },
    { shape: [], values: [Uint8Array.from(Buffer.from('none'))] },
  ]);
});

test('setAttr() refuses a number that is undefined; an undefined bool is false', () => {
  const missing = undefined as unknown as OpAttr['value'];
  const inputs = [floats([1], [1]), floats([1], [2])];
  assert.throws(() => valuesOf('Pack', [int('N', 2), FLOAT, int('axis', missing)], inputs), /expected number/);
  const attrs = [FLOAT, { name: 'transpose_a', type: AttrType.BOOL, value: missing }];
  assert.deepEqual(valuesOf('MatMul', attrs, [floats([1, 2], [1, 2]), floats([2, 1], [1, 10])]), [21]);
});

test('setAttr() refuses an unknown kind', () => {
  const attrs = (value: OpAttr['value']) => [{ name: 'T', type: AttrType.RESOURCE, value }];
  for (const value of [1, [1]]) {
    assert.throws(
      () => valuesOf('Neg', attrs(value), []),
      /Cannot set T of the op Neg: attributes of kind 99 are not supported/,
    );
  }
});

/** A field of the protobuf wire format, shorter than 128 bytes. */
function message(field: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of((field << 3) | 2, bytes.length), bytes]);
}

/** An entry of `Features.feature`: name, and Feature { float_list { value } }. */
function feature(name: string, values: number[]): Buffer {
  const list = message(2, message(1, new Uint8Array(Float32Array.from(values).buffer)));
  return message(1, Buffer.concat([message(1, Buffer.from(name)), message(2, list)]));
}

/** The reasons in TensorFlow's messages: texts of TensorFlow 2.21, and errors that it throws here. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { runOp, useDevice } from '../../../src/native/binding/backend.js';
import { AttrType, DataType } from '../../../src/native/c/signatures.js';
import { reasonIn, withAddresses } from '../../../src/native/c/status.js';
import { compile } from '../../../src/native/graph/compile.js';

const TWO_DEVICES = `2 root error(s) found.
  (0) INVALID_ARGUMENT: {{function_node alexnet_split_1_0}} second : Tensor had NaN values
\t [[{{node CheckNumerics_1099511627803}}]]
  (1) INVALID_ARGUMENT: {{function_node alexnet_split_1_0}} first : Tensor had NaN values
\t [[{{node CheckNumerics_1099511627804}}]]
0 successful operations.
0 derived errors ignored.`;

const rows: [what: string, message: string, told: string][] = [
  ['one line', 'Input tensor 0 must have rank >= 2, got 1', 'Input tensor 0 must have rank >= 2, got 1'],
  ['several devices', TWO_DEVICES, 'second : Tensor had NaN values (in CheckNumerics)'],
  [
    'several devices, the first of which only heard of it',
    TWO_DEVICES.replace(
      'INVALID_ARGUMENT: {{function_node alexnet_split_1_0}} second : Tensor had NaN values',
      'CANCELLED: {{function_node alexnet_split_1_0}} Dequeue operation was cancelled',
    ),
    'first : Tensor had NaN values (in CheckNumerics)',
  ],
  [
    'several devices, all of which were cancelled',
    `1 root error(s) found.
  (0) CANCELLED: {{function_node alexnet_split_1_0}} Dequeue operation was cancelled
\t [[{{node alexnet_split_1_1/QueueDequeueV2_1099511627803}}]]
0 successful operations.
1 derived errors ignored.`,
    'Dequeue operation was cancelled (in QueueDequeueV2)',
  ],
  [
    'a function within a function',
    '{{function_node alexnet_split_1_1}} {{function_node alexnet_split_1_0}} first : Tensor had NaN values\n\t [[{{node CheckNumerics_4}}]]\n\t [[alexnet_split_1_0_5]]',
    'first : Tensor had NaN values (in CheckNumerics)',
  ],
  [
    'an error of several lines',
    '{{function_node f}} multi\nline : Tensor had NaN values\n\t [[{{node CheckNumerics_12}}]]',
    'multi (in CheckNumerics)',
  ],
  [
    'no memory',
    'OOM when allocating tensor with shape[2000000000,2000] and type float on /job:localhost/replica:0/task:0/device:CPU:0 by allocator mklcpu',
    'OOM when allocating tensor with shape[2000000000,2000] and type float on CPU:0 by allocator mklcpu',
  ],
  [
    "another process's device",
    'Unable to find any devices for spec /job:tower/replica:0/task:1/device:GPU:3',
    'Unable to find any devices for spec /job:tower/replica:0/task:1/device:GPU:3',
  ],
  [
    'an op that is recorded',
    "Dimensions must be equal, but are 3 and 2 for '{{node MatMul_1099511627803}} = MatMul[T=DT_FLOAT](Placeholder_1099511627801, Placeholder_1099511627801)' with input shapes: [2,3], [2,3].",
    "Dimensions must be equal, but are 3 and 2 for 'MatMul = MatMul[T=DT_FLOAT](Placeholder, Placeholder)' with input shapes: [2,3], [2,3].",
  ],
  [
    'an op with its signature',
    'NodeDef missing attrs \'padding\', \'strides\' from Op<name=AvgPool; signature=value:T -> output:T; attr=padding:string,allowed=["SAME", "VALID"]; attr=T:type,allowed=[DT_FLOAT, DT_HALF]>; NodeDef: {{node AvgPool}}',
    "NodeDef missing attrs 'padding', 'strides' from AvgPool",
  ],
  [
    "an op's name at the end",
    '{{function_node f}} Incompatible shapes: [2] vs. [3] [Op:AddV2] name:',
    'Incompatible shapes: [2] vs. [3] name:',
  ],
  ['lists of numbers', 'expected [[2,3],[4]] and got [[2,3]]', 'expected [[2,3],[4]] and got [[2,3]]'],
  ['nothing', '', ''],
];

for (const [what, message, told] of rows) {
  test(`reasonIn() gives the reason in one line: ${what}`, () => assert.equal(reasonIn(message), told));
}

test('check() of a compiled function names the op that failed, and no made-up names', () => {
  useDevice('CPU:0');
  const attrs = [
    { name: 'T', type: AttrType.TYPE, value: DataType.FLOAT },
    { name: 'message', type: AttrType.STRING, value: 'the loss' },
  ];
  const checked = compile((x) => [tf.mul(runOp('CheckNumerics', [x!], attrs)[0]!, 2)]);
  assert.throws(
    () => tf.tidy(() => checked(tf.scalar(Number.NaN))),
    /^NativeError: Cannot run the op \S+: TensorFlow says INVALID_ARGUMENT: the loss : Tensor had NaN values \(in CheckNumerics\)$/,
  );
  checked.dispose();
});

test('withAddresses() names servers and their devices by addresses', () => {
  const servers = ['10.0.0.2:2222', '[fd00::3]:22'];
  const text =
    'copy a tensor to /job:server/replica:0/task:1/device:GPU:0: /job:server/replica:0/task:0 is gone, /job:server/replica:0/task:7/device:CPU:0';
  assert.equal(
    withAddresses(text, servers),
    'copy a tensor to [fd00::3]:22/GPU:0: 10.0.0.2:2222 is gone, /job:server/replica:0/task:7/device:CPU:0',
  );
  assert.equal(withAddresses(text), text);
});

/** tfjs-core's own tests on a stand-in GPU, which has separate memory and only GPU kernels. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeGpus } from '../../fake-gpu/fake-gpu.js';
import { runCoreTests } from './tfjs-core-run.js';

/** The number of tests that pass today. */
const PASSED = 3856;

/** The tests that fail, by name, and the op for which TensorFlow's GPU build has no kernel. */
const NO_GPU_KERNEL: { test: RegExp; op: RegExp }[] = [
  { test: /^arg(max|min) .*accepts tensor with bool values/, op: /^Arg(Max|Min)$/ }, // as int32
  { test: /^pow .*int32\^int32 returns int32/, op: /^Pow$/ },
  { test: /^(confusionMatrix |matmul .*upcasts|dtypes )/, op: /^BatchMatMulV2$/ }, // of int32
  { test: /^cropAndResize .*int32 image/, op: /^CropAndResize$/ },
  { test: /^resizeBilinear .*works for ints/, op: /^ResizeBilinear$/ },
  { test: /^nonMaxSuppression .*SoftNMS/, op: /^NonMaxSuppressionV5$/ }, // of any type
  { test: /^mirrorPad /, op: /^MirrorPad$/ }, // of int32
  { test: /^relu6? .*int32/, op: /^Relu6?$/ },
];

const gpus = await fakeGpus();

test('on a GPU only ops without a GPU kernel fail, with an error', { skip: gpus.skip }, async () => {
  const { failed } = await runCoreTests('GPU:0', PASSED, gpus.env());
  const unexpected = failed.filter(([name, messages]) => {
    const ops = messages.map((message) => /Cannot run the op (\w+): .*'GPU:0'/.exec(message)?.[1] ?? '');
    return !NO_GPU_KERNEL.some((known) => known.test.test(name) && ops.every((op) => known.op.test(op)));
  });
  assert.deepEqual(unexpected, []);
  const passing = NO_GPU_KERNEL.filter((known) => !failed.some(([name]) => known.test.test(name)));
  assert.deepEqual(passing, [], 'these pass now: take them off the list');
});

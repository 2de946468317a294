/** Environment variables of other programs at which TensorFlow would end the process. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { remedies, tensorflowVariables } from '../../../src/native/install/environment.js';
import { findLibrary } from '../../../src/native/install/library.js';
import { runNode } from '../child.js';

test('remedies() keeps values that TensorFlow accepts', () => {
  const good = {
    TF_NUM_INTRAOP_THREADS: '4',
    TF_ENABLED_DEVICE_TYPES: 'GPU,CPU',
    ONEDNN_DEFAULT_FPMATH_MODE: 'STRICT',
  };
  for (const env of [{}, good, { XLA_FLAGS: '', TF_XLA_FLAGS: '', TF_NUM_INTRAOP_THREADS: '' }]) {
    assert.deepEqual(remedies(env), []);
  }
});

test('remedies() unsets variables that end or hang the process, and warns of those that round', () => {
  for (const [name, value, said] of [
    ['XLA_FLAGS', '--xla_gpu_enable_latency_hiding_scheduler=true', /JAX.*; set ALEXNET_SPLIT_XLA_FLAGS for flags/],
    ['TF_XLA_FLAGS', '--tf_xla_auto_jit=2', /; --compile xla compiles with XLA$/],
    ['TF_NUM_INTRAOP_THREADS', '-1', /expected a whole number from 0 to 1024$/],
    ['TF_NUM_INTRAOP_THREADS', '100000', /expected a whole number/],
    ['TF_ENABLED_DEVICE_TYPES', 'GPU', /without CPU among them$/],
  ] as const) {
    const [remedy, ...more] = remedies({ [name]: value });
    assert.deepEqual([remedy?.name, remedy?.value, remedy?.keeps, more], [name, undefined, undefined, []]);
    assert.ok(remedy!.says.startsWith(`${name} (${JSON.stringify(value)}) is not used`), remedy!.says);
    assert.match(remedy!.says, said);
  }
  const [meant] = remedies({ XLA_FLAGS: '--foo', ALEXNET_SPLIT_XLA_FLAGS: '--xla_dump_to=x' });
  assert.deepEqual([meant?.name, meant?.value], ['XLA_FLAGS', '--xla_dump_to=x']);
  const [rounds] = remedies({ DNNL_DEFAULT_FPMATH_MODE: 'BF16' });
  assert.deepEqual([rounds?.name, rounds?.keeps], ['DNNL_DEFAULT_FPMATH_MODE', true]);
});

test('tensorflowVariables() lists the variables that are set', () => {
  assert.deepEqual(tensorflowVariables({ XLA_FLAGS: '--foo', HOME: '/' }), { XLA_FLAGS: '--foo' });
});

const skip = !findLibrary() && 'the TensorFlow library is not here';

test('a process with flags for another XLA compiles with XLA, and warns of what it does not use', {
  skip,
}, async () => {
  const { href } = new URL('../../../src/native/index.js', import.meta.url);
  const program = `import { createRequire } from 'node:module';
    const { compile, useDevice } = await import(${JSON.stringify(href)});
    const tf = createRequire(${JSON.stringify(href)})('@tensorflow/tfjs');
    useDevice('CPU:0');
    const [doubled] = compile((x) => [tf.add(x, x)], { mode: 'xla' })(tf.tensor1d([2]));
    process.stdout.write(String(doubled.dataSync()[0]));`;
  const left = { XLA_FLAGS: '--xla_of_2027=true', TF_XLA_FLAGS: '--tf_xla_of_2027', TF_NUM_INTRAOP_THREADS: '-1' };
  const { code, stdout, stderr } = await runNode(['--input-type=module', '--eval', program], left);
  assert.deepEqual([code, stdout], [0, '4'], stderr);
  const warned = stderr
    .trim()
    .split('\n')
    .map((line) => /^warning: (\w+) \(/.exec(line)?.[1]);
  assert.deepEqual(warned.sort(), Object.keys(left).sort());
});

/** Which layers `--freeze` means; `refusals.test.ts` has what it does not take. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { resolveConfig } from '../../src/config/config.js';
import { flags, machineWith } from './machines.js';

test('withFrozenLayers() names each frozen layer once, in the order of the net', () => {
  const frozen = (freeze: readonly string[]) => {
    const saved = { values: { optimizer: { freeze: ['conv1'] } } };
    return resolveConfig([saved, flags({ optimizer: { freeze } })], machineWith('CPU:0', 'CPU:1')).config.optimizer;
  };
  assert.deepEqual(frozen(['fc6', 'conv1-conv3', 'conv2']).freeze, ['conv1', 'conv2', 'conv3', 'fc6']);
  assert.equal('freeze' in frozen(['none']), false);
});

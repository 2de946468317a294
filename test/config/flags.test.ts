import assert from 'node:assert/strict';
import test from 'node:test';
import { resolveConfig } from '../../src/config/config.js';
import { FLAGS } from '../../src/config/flags.js';
import { tableSettings } from '../../src/config/presets.js';
import { TABLE_NAMES } from '../../src/config/schema.js';
import { packageVersion } from '../../src/config/version.js';
import { machineWith } from './machines.js';

test('FLAGS set settings that exist, and name themselves in messages', () => {
  const named = new Set<string>();
  for (const { path, kind } of FLAGS) {
    const wrong = kind === 'schedule' ? 5 : {};
    const values = path.split('.').reduceRight<unknown>((value, key) => ({ [key]: value }), wrong);
    assert.throws(
      () => resolveConfig([{ values: values as object as Record<string, unknown> }], machineWith('CPU:0', 'CPU:1')),
      (error: Error) => {
        const [, name = ''] = /^(--\S+) is (?:\{\}|5), expected/.exec(error.message) ?? [];
        assert.equal(FLAGS.find((flag) => flag.name === name)?.path, path, error.message);
        named.add(name);
        return true;
      },
    );
  }
  assert.equal(named.size, new Set(FLAGS.map(({ path }) => path)).size);
  assert.equal(new Set(FLAGS.map(({ name }) => name)).size, FLAGS.length);
});

test('resolveConfig() suggests the key that is most similar to an unknown one', () => {
  const cases = { batchsize: 'batchSize', bachSize: 'batchSize', sead: 'seed', step: 'steps', zzzzz: undefined };
  for (const [key, suggestion] of Object.entries(cases)) {
    assert.throws(
      () => resolveConfig([{ values: { [key]: 1 } }], machineWith('CPU:0', 'CPU:1')),
      new RegExp(
        suggestion ? `unknown key ${key}; did you mean "${suggestion}"\\?$` : 'known keys: preset, placement,',
      ),
    );
  }
});

test('tableSettings() makes settings of every table at full size', () => {
  for (const table of TABLE_NAMES) {
    const { config } = resolveConfig([{ values: tableSettings(table) }], machineWith('CPU:0', 'CPU:1'));
    assert.deepEqual([config.net.table, config.net.width, config.net.init], [table, 1, 'table']);
    assert.equal(config.data.mean.length, config.net.inputChannels);
  }
});

test('packageVersion() is a version', () => {
  assert.match(packageVersion(), /^\d+\.\d+\.\d+/);
});

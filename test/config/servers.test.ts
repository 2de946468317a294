import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { devicesOf, resolveConfig } from '../../src/config/config.js';
import { readClusterFile } from '../../src/config/file.js';
import { serverDevices, serversOf } from '../../src/config/servers.js';
import { ConfigError } from '../../src/errors.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'alexnet-split-servers-'));
after(() => rmSync(FOLDER, { recursive: true }));

test('serversOf() are those of the devices, or without devices those that are named', () => {
  assert.deepEqual(serversOf(['A:1', 'b:2', 'a:1'], []), ['a:1', 'b:2']);
  assert.deepEqual(serversOf(['a:1', 'b:2'], ['B:2/GPU:0', 'CPU:0', 'b:2/gpu:1']), ['b:2']);
  assert.deepEqual(serversOf(['a:1'], ['CPU:0', 'CPU:1']), []); // a run that is resumed on this machine
});

test('serverDevices() are the first GPU of each server, then the second, and a CPU where there is no GPU', () => {
  const own = ['CPU:0', 'GPU:0'];
  const a = ['a:1/CPU:0', 'a:1/CPU:1', 'a:1/GPU:0', 'a:1/GPU:1'];
  const b = ['[::1]:2/CPU:0', '[::1]:2/CPU:1'];
  assert.deepEqual(serverDevices([...own, ...a, ...b], 2), ['a:1/GPU:0', '[::1]:2/CPU:0']);
  assert.deepEqual(serverDevices([...own, ...a, ...b], 4), ['a:1/GPU:0', '[::1]:2/CPU:0', 'a:1/GPU:1', 'a:1/GPU:0']);
  assert.deepEqual(serverDevices([...own, ...b], 2), ['[::1]:2/CPU:0', '[::1]:2/CPU:0']);
  assert.deepEqual(serverDevices([...own, ...a, ...b], 1), ['a:1/GPU:0']);
  assert.deepEqual(serverDevices(own, 2), []);
});

test('resolveConfig() uses the devices of servers, whose GPUs choose the preset, and says so', () => {
  const servers = ['10.0.0.2:2222', '10.0.0.3:2222'];
  const resolved = (kind: string, values: object = {}) =>
    resolveConfig([{ values: { servers, ...values } }], {
      devices: ['CPU:0', 'CPU:1', ...servers.map((each) => `${each}/${kind}:0`)],
      fashionMnist: true,
      now: new Date(),
    });
  const { config, notes } = resolved('GPU');
  assert.deepEqual(config.devices, ['10.0.0.2:2222/GPU:0', '10.0.0.3:2222/GPU:0']);
  assert.equal(config.preset, 'fashion');
  assert.match(
    notes.join('\n'),
    /^devices 10\.0\.0\.2:2222\/GPU:0,10\.0\.0\.3:2222\/GPU:0: the first of the servers;/m,
  );
  const single = resolved('CPU', { placement: 'single' }).config;
  assert.throws(
    () => resolved('CPU', { placement: 'single', compile: 'xla' }),
    /expected on or off with a server's device/,
  );
  assert.deepEqual([single.preset, single.devices], ['mini', ['10.0.0.2:2222/CPU:0']]);
  assert.deepEqual(devicesOf([{ values: { servers, replicas: 2 } }]), []); // no CPUs of this machine
  const pairs = resolved('CPU', { replicas: 2 }).config.devices;
  assert.deepEqual(
    pairs,
    [...config.devices, ...config.devices].map((each) => each.replace('GPU', 'CPU')),
  );
  assert.throws(
    () => resolved('CPU', { devices: ['10.0.0.2:2222/GPU:0', 'CPU:0'] }),
    /^ConfigError: Cannot use the device 10\.0\.0\.2:2222\/GPU:0: TensorFlow has CPU:0, CPU:1, 10\.0\.0\.2:2222\/CPU:0, /,
  );
});

test('readClusterFile() gives a layer of settings, and refuses other keys', () => {
  const file = join(FOLDER, 'cluster.json');
  const written = (values: unknown) => {
    writeFileSync(file, JSON.stringify(values));
    return readClusterFile(file);
  };
  const values = { servers: ['10.0.0.2:2222'], coordinator: '10.0.0.1:2300', devices: ['10.0.0.2:2222/GPU:0'] };
  assert.deepEqual(written(values), { file, values, by: 'file' });
  for (const [wrong, message] of [
    [
      { servers: [], seed: 1 },
      `Cannot use the unknown key seed in ${file}; known keys: servers, coordinator, devices;`,
    ],
    [['10.0.0.2:2222'], `Cannot read the cluster file ${file}: it has ["10.0.0.2:2222"], expected a JSON object`],
  ] as const) {
    assert.throws(
      () => written(wrong),
      (error) => error instanceof ConfigError && error.message.startsWith(message),
    );
  }
});

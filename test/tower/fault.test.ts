import assert from 'node:assert/strict';
import test from 'node:test';
import { ConfigError } from '../../src/errors.js';
import { buildNet } from '../../src/model/net.js';
import { parseFault, strike } from '../../src/tower/fault.js';

const NET = buildNet({
  ...{ table: 'original', width: 0.125, inputSize: 67, inputChannels: 3, classes: 10, init: 'he', dropout: true },
});

test('parseFault() takes each kind at what the net has, or no fault', () => {
  assert.deepEqual(parseFault(null, NET), {});
  assert.deepEqual(parseFault('swap-channels@fc6', NET), { swapAt: 'fc6' });
  assert.deepEqual(parseFault('wrong-bytes@device', NET), { wrongBytes: true });
  assert.deepEqual(parseFault('exit@backward:3', NET), { tower: { kind: 'exit', phase: 'backward', step: 3 } });
  assert.deepEqual(parseFault('heap@update:3', NET), { tower: { kind: 'heap', phase: 'update', step: 3 } });
  assert.deepEqual(parseFault('nan@conv2:4', NET), { nan: { layer: 'conv2', step: 4 } });
  assert.deepEqual(parseFault('flipped@conv3:2', NET), { message: { kind: 'flipped', site: 'conv3', step: 2 } });
  assert.deepEqual(parseFault('throw@data:2', NET), { data: { kind: 'throw', step: 2 } });
});

test('parseFault() refuses anything else, and lists kinds, sites and layers', () => {
  for (const text of [
    '',
    'swap-channels',
    'swap-channels@',
    'swap-channels@conv1',
    'swap-channels@conv3:1',
    'drop@conv3',
    'swap-channels@conv3@fc6',
    'throw@forward',
    'throw@nowhere:1',
    'slow@data:1',
    'flipped@conv1:1',
    'nan@pool1:1',
    'throw@forward:-1',
    'constructor@forward:1',
  ]) {
    assert.throws(
      () => parseFault(text, NET),
      (error: ConfigError) => {
        assert.ok(error instanceof ConfigError, text);
        assert.equal(error.exitCode, 2);
        assert.ok(error.message.includes(JSON.stringify(text)));
        assert.match(error.message, /throw, exit, .*the sites are conv3, fc6, .*layers conv1, conv2/);
        return true;
      },
    );
  }
});

test('strike() strikes in its phase and step alone', () => {
  const fault = parseFault('throw@forward:3', NET);
  strike(fault, 'forward', 2);
  strike(fault, 'backward', 3);
  strike({}, 'forward', 3);
  assert.throws(() => strike(fault, 'forward', 3), /a fault that was asked for/);
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { ConfigError } from '../../src/errors.js';
import { parseFault } from '../../src/tower/fault.js';

const SITES = ['conv3', 'fc6'];

test('parseFault() takes a site of the net, or no fault', () => {
  assert.deepEqual(parseFault(null, SITES), {});
  assert.deepEqual(parseFault('swap-channels@fc6', SITES), { swapAt: 'fc6' });
});

test('parseFault() refuses anything else, and lists the sites', () => {
  for (const text of [
    '',
    'swap-channels',
    'swap-channels@',
    'swap-channels@conv1',
    'drop@conv3',
    'swap-channels@conv3@fc6',
  ]) {
    assert.throws(
      () => parseFault(text, SITES),
      (error: ConfigError) => {
        assert.ok(error instanceof ConfigError, text);
        assert.equal(error.exitCode, 2);
        assert.ok(error.message.includes(JSON.stringify(text)));
        assert.match(error.message, /conv3, fc6/);
        return true;
      },
    );
  }
});

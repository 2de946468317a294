import assert from 'node:assert/strict';
import test from 'node:test';
import { checkDifferent } from '../../src/cluster/cluster.js';
import { ConfigError } from '../../src/errors.js';

test('two addresses that lead to one server are refused, as a name and a number or a wrong tunnel', () => {
  const [a, b, again] = [
    { address: '127.0.0.1:2202', incarnation: '17' },
    { address: '127.0.0.1:2203', incarnation: '18' },
    { address: 'localhost:2202', incarnation: '17' },
  ];
  checkDifferent([a, b]);
  assert.throws(
    () => checkDifferent([a, b, again]),
    (error) => {
      assert.ok(error instanceof ConfigError);
      assert.match(
        error.message,
        /^Cannot use the servers 127\.0\.0\.1:2202 and localhost:2202 together: both .* same/,
      );
      return true;
    },
  );
});

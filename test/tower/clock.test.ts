/** The clock that the threads of a traced step have in common. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockOffset } from '../../src/tower/clock.js';

test('clockOffset() takes the comparison during which the thread kept its core', (t) => {
  let now = 5000;
  t.mock.method(process.hrtime, 'bigint', () => BigInt(now * 1e6));
  let looks = 0;
  /** A clock that is 1000 ms behind. In all looks at it but the third, the thread loses its core before or after. */
  const other = () => {
    looks += 1;
    const lost = looks === 3 ? 0 : 20;
    if (looks % 2 === 0) now += lost;
    const found = now - 1000;
    if (looks % 2 === 1) now += lost;
    return found;
  };
  assert.equal(clockOffset(other), 1000);
  assert.ok(looks >= 3);
});

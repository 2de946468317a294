/** The measure of memory that the fuzz tests go by. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { trackMemory } from './fuzz.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** So many bytes of the process's memory. */
function take(bytes: number): void {
  Buffer.allocUnsafeSlow(bytes).fill(1);
}

test('trackMemory() detects memory that is allocated and freed again below the earlier peak of the process', async () => {
  const before = process.memoryUsage.rss();
  take(2 ** 28);
  for (let tries = 0; process.memoryUsage.rss() - before > 2 ** 27; tries++) {
    assert.ok(tries < 500, 'the memory stays with the process');
    collect();
    await sleep(5);
  }
  const memory = trackMemory();
  take(2 ** 26);
  memory.look();
  collect();
  const grown = memory.grown();
  assert.ok(grown > 0.9 * 2 ** 26 && grown < 2 * 2 ** 26, `${grown} bytes`);
});

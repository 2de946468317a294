import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runProgram } from '../child.js';

const skip = process.platform !== 'linux' && 'only Linux has /proc/self/net/tcp';

test('the sockets of a process, their bytes over time, and the end of one with a peer that hangs', {
  skip,
}, async () => {
  const { code, stdout, stderr } = await runProgram('sockets');
  assert.deepEqual([code, stderr], [0, '']);
  const four = { address: '127.0.0.1', direction: 'out', port: 'PEER' };
  // One byte more is the SYN of a side that connects; two connections go to 127.0.0.1, the second one idle.
  const six = { address: '::1', direction: 'out', port: 'PEER', sent: 1_000_001, received: 300_000 };
  assert.deepEqual(JSON.parse(stdout), {
    sockets: [
      'established 127.0.0.1 FIRST 127.0.0.1 PEER',
      'established 127.0.0.1 MAPPED 127.0.0.1 PEER',
      'established ::1 SIX ::1 PEER',
      'listen 127.0.0.1 OWN 0.0.0.0 0',
    ],
    afterTwo: [{ ...four, sent: 1_000_002, received: 300_000 }, six],
    // With the closed one.
    afterThree: [{ ...four, sent: 2_000_003, received: 600_000 }, six],
    withIncoming: [
      { address: '127.0.0.1', direction: 'in', port: 'OWN', sent: 1_000, received: 0 },
      { ...four, sent: 2_000_003, received: 600_000 },
      six,
    ],
    timed: ['established true', 'established true', 'established true', 'established true', 'listen false'],
    // None to another port, then the two to 127.0.0.1; their sockets are gone after that, and ::1 is not touched.
    shutdowns: [0, 2],
    stale: [[null, null], 0],
    six: 'established',
  });
});

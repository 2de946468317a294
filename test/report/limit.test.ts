import assert from 'node:assert/strict';
import test from 'node:test';
import { limitSentence } from '../../src/report/limit.js';
import type { TowerTime } from '../../src/report/model.js';

type Tower = [compute: number, exchange: number, wait: number];

/** The sentence for a step of these parts; `data` and `other` are 0 unless given. */
function limit(mean: number, towers: readonly Tower[], { data = 0, other = 0 } = {}): string {
  const [compute, exchange, wait] = towers[0] ?? [mean, 0, 0];
  return limitSentence({
    mean,
    parts: { data, compute, exchange, wait, other },
    towers: towers.map(([compute, exchange, wait], tower): TowerTime => {
      return { tower, device: `CPU:${tower}`, step: compute + exchange + wait, compute, exchange, wait };
    }),
  });
}

test('limitSentence() names what limits a step', () => {
  const even: Tower[] = [
    [30, 3, 2],
    [29, 3, 3],
  ];
  const cases: [string, string][] = [
    [
      limit(36, even),
      'Computing takes 30.0 ms in tower 0 and 29.0 ms in tower 1 of a 36.0 ms step: it limits the step.',
    ],
    [
      limit(36, [
        [27, 2, 6.2],
        [34.1, 1, 0.1],
      ]),
      'Tower 1 computes 34.1 ms of a 36.0 ms step; tower 0 waits 6.20 ms for it: the computing of tower 1 limits the step.',
    ],
    [limit(36, [[34, 0, 0]]), 'The tower computes 34.0 ms of a 36.0 ms step: computing limits the step.'],
    [
      limit(60, even, { data: 20 }),
      'The towers wait 20.0 ms of a 60.0 ms step for data: loading the data limits the step.',
    ],
    [
      limit(40, [
        [20, 12, 8],
        [24, 10, 6],
      ]),
      'Each tower exchanges and waits for at least 16.0 ms of a 40.0 ms step: the exchange limits the step.',
    ],
    [
      limit(
        2,
        [
          [1, 0.1, 0.1],
          [1, 0.1, 0.1],
        ],
        { other: 0.8 },
      ),
      'Commands and replies between the threads take 0.800 ms of a 2.00 ms step: the steps are too short for them; a larger batch helps.',
    ],
  ];
  for (const [found, expected] of cases) assert.equal(found, expected);
});

test('limitSentence() at its bounds: a quarter of the step, and a tenth of it', () => {
  const even: Tower[] = [
    [50, 0, 0],
    [50, 0, 0],
  ];
  assert.match(limit(100, even, { data: 25 }), /loading the data limits/);
  assert.match(limit(100, even, { data: 24.9, other: 24.8 }), /in tower 1 of .*: it limits the step/);
  assert.match(limit(100, even, { data: 26, other: 27 }), /the steps are too short/);
  assert.match(
    limit(100, [
      [90, 0, 0],
      [80, 0, 10],
    ]),
    /the computing of tower 0 limits/,
  );
  assert.match(
    limit(100, [
      [90, 0, 1],
      [81, 0, 10],
    ]),
    /in tower 1 of .*: it limits the step/,
  );
  // One tower waits for the other to compute: that is no exchange.
  assert.match(
    limit(100, [
      [95, 1, 0],
      [50, 1, 45],
    ]),
    /the computing of tower 0 limits/,
  );
  assert.match(
    limit(100, [
      [70, 5, 20],
      [65, 6, 24],
    ]),
    /the exchange limits/,
  );
});

test('limitSentence() without towers', () => {
  assert.equal(limit(36, []), 'Computing takes 36.0 ms of a 36.0 ms step: computing limits the step.');
});

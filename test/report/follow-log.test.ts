/** Reading a log while it grows. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { type Followed, followLog, lastEventBefore } from '../../src/report/follow-log.js';
import { EVAL, RUN_START, trainStep } from '../events.js';

const base = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-follow-'));
after(() => fs.rmSync(base, { recursive: true, force: true }));

/** Follows a log. `read` returns what is found up to the next time that nothing is left. */
function follow(file: string, position = { bytes: 0, lines: 0 }) {
  const stop = new AbortController();
  const reader = followLog(file, { signal: stop.signal, position, pollMs: 1 });
  return {
    async read(): Promise<string[]> {
      const found: string[] = [];
      for (;;) {
        const { value, done } = (await reader.next()) as IteratorResult<Followed, undefined>;
        if (done) return [...found, 'done'];
        if (value.kind === 'idle') return found;
        if (value.kind !== 'lines') found.push(value.kind);
        else found.push(...value.lines.map(({ number, text }) => `${number} ${text}`));
        if (value.kind === 'missing') return found;
      }
    },
    stop: () => stop.abort(),
  };
}

test('followLog() yields lines as they are added, each once and whole', async () => {
  const file = join(base, 'grows.ndjson');
  const log = follow(file);
  assert.deepEqual(await log.read(), ['missing']);
  fs.writeFileSync(file, '');
  assert.deepEqual(await log.read(), []);
  fs.appendFileSync(file, 'one\ntw');
  assert.deepEqual(await log.read(), ['1 one']);
  assert.deepEqual(await log.read(), []);
  const bytes = Buffer.from('o ä\nthree\n');
  fs.appendFileSync(file, bytes.subarray(0, 3)); // half of the ä
  assert.deepEqual(await log.read(), []);
  fs.appendFileSync(file, bytes.subarray(3));
  assert.deepEqual(await log.read(), ['2 two ä', '3 three']);
  log.stop();
  assert.deepEqual(await log.read(), ['done']);
});

test('followLog() begins again when the log is truncated, replaced or removed, and not when half a line is cut off', async () => {
  const file = join(base, 'replaced.ndjson');
  fs.writeFileSync(file, 'first\nsecond\nhal');
  const log = follow(file);
  assert.deepEqual(await log.read(), ['1 first', '2 second']);
  fs.truncateSync(file, 'first\nsecond\n'.length); // as a resumed run does
  fs.appendFileSync(file, 'third\n');
  assert.deepEqual(await log.read(), ['3 third']);
  fs.truncateSync(file, 'first\n'.length);
  assert.deepEqual(await log.read(), ['restart', '1 first']);
  fs.truncateSync(file, 0);
  fs.appendFileSync(file, 'new\n');
  assert.deepEqual(await log.read(), ['restart', '1 new']);
  fs.writeFileSync(`${file}.2`, 'another log, that is longer\nthan the one before\n');
  fs.renameSync(`${file}.2`, file);
  assert.deepEqual(await log.read(), ['restart', '1 another log, that is longer', '2 than the one before']);
  fs.rmSync(file);
  assert.deepEqual(await log.read(), ['missing']);
  fs.writeFileSync(file, 'again\n');
  assert.deepEqual(await log.read(), ['restart', '1 again']);
  log.stop();
});

test('followLog() begins again when a long log loses its end', async () => {
  const file = join(base, 'long-first.ndjson');
  const first = 'x'.repeat(300);
  fs.writeFileSync(file, `${first}\nsecond\n`);
  const log = follow(file);
  assert.deepEqual(await log.read(), [`1 ${first}`, '2 second']);
  fs.truncateSync(file, 301);
  fs.appendFileSync(file, '2\n');
  assert.deepEqual(await log.read(), ['restart', `1 ${first}`, '2 2']);
  log.stop();
});

test('followLog() begins at a position, and ends while lines are left to read', async () => {
  const file = join(base, 'position.ndjson');
  fs.writeFileSync(file, 'one\ntwo\nthree\n');
  const log = follow(file, { bytes: 4, lines: 1 });
  assert.deepEqual(await log.read(), ['2 two', '3 three']);
  log.stop();
  fs.writeFileSync(file, `${'x'.repeat(100)}\n`.repeat(20_000)); // more than is read at once
  const stop = new AbortController();
  let lines = 0;
  for await (const found of followLog(file, { signal: stop.signal, pollMs: 1 })) {
    if (found.kind === 'lines') lines += found.lines.length;
    stop.abort();
  }
  assert.ok(lines > 0 && lines < 20_000, `${lines} lines`);
});

test('followLog() refuses what is not a log', async () => {
  await assert.rejects(follow(base).read(), {
    name: 'SplitError',
    message: /^Cannot read the log .*: it is not a plain file, expected the log\.ndjson of a run$/,
  });
});

test('lastEventBefore() finds the last event of a kind, across the parts in which it reads', async () => {
  const file = join(base, 'long.ndjson');
  const line = (event: object) => `${JSON.stringify({ time: 1, ...event })}\n`;
  const { signal } = new AbortController();
  const filler = line(trainStep(1)).repeat(3_000);
  const parts = [
    line({ ...RUN_START, steps: 7 }),
    filler,
    line({ ...RUN_START, steps: 8 }),
    filler,
    filler,
    line(EVAL),
  ];
  const text = parts.join('');
  fs.writeFileSync(file, text);
  const found = await lastEventBefore(file, 'run_start', text.length, signal);
  assert.deepEqual(found?.event, { ...RUN_START, steps: 8 });
  const earlier = await lastEventBefore(file, 'run_start', line(RUN_START).length + filler.length, signal);
  assert.deepEqual(earlier?.event, { ...RUN_START, steps: 7 });
  assert.equal(await lastEventBefore(file, 'eval', text.length - line(EVAL).length, signal), undefined);
  // Wherever the line lies relative to the parts.
  for (let shift = 0; shift < 40; shift++) {
    const shifted = `${line(EVAL)}${'x'.repeat(2 ** 20 - 40 + shift)}\n`;
    fs.writeFileSync(file, shifted);
    assert.equal((await lastEventBefore(file, 'eval', shifted.length, signal))?.event.event, 'eval', `${shift}`);
  }
});

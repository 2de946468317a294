import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { SplitError } from '../../src/errors.js';
import type { LogEvent } from '../../src/log.js';
import { eventsIn, type Line, LOG_START, linesOf, parseLine } from '../../src/report/read-log.js';
import { ALL_EVENTS, trainStep, WARNING } from '../events.js';
import { trackMemory } from '../fuzz.js';
import { logFiles, logText, temporaryFolder } from './logs.js';

const fileOf = logFiles();

async function linesIn(file: string, position = { ...LOG_START }, end?: number): Promise<Line[]> {
  const all: Line[] = [];
  for await (const lines of linesOf(file, position, end)) all.push(...lines);
  return all;
}

function parsed(text: string, changes: Partial<Line> = {}) {
  return parseLine({ number: 1, text, isTooLong: false, isWhole: true, end: text.length, ...changes });
}

async function eventsOf(file: string): Promise<LogEvent[]> {
  const events: LogEvent[] = [];
  for await (const event of eventsIn(file)) events.push(event);
  return events;
}

/** A line of a step with these fields. */
const stepLine = (fields: object) => JSON.stringify({ time: 1, ...trainStep(1), ...fields });

test('linesOf() yields the lines of any text, and continues where it stopped', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('a', 'é', '\n', '\r\n', 'x'.repeat(3000), '"')),
      fc.nat(),
      async (parts, cut) => {
        const text = parts.join('');
        const expected = text.split('\n').map((line) => line.replace(/\r$/, ''));
        if (expected.at(-1) === '' && !text.endsWith('\r')) expected.pop();
        const file = fileOf(text);
        const size = Buffer.byteLength(text);
        const position = { ...LOG_START };
        const first = await linesIn(file, position, cut % (size + 1));
        const whole = first.filter(({ isWhole }) => isWhole);
        assert.deepEqual([position.lines, position.bytes], [whole.length, whole.at(-1)?.end ?? 0]);
        const lines = [...whole, ...(await linesIn(file, position))];
        assert.deepEqual(
          lines.map((line) => line.text),
          expected,
        );
        assert.deepEqual(
          lines.map(({ number }) => number),
          expected.map((_, i) => i + 1),
        );
        assert.ok(lines.every(({ isWhole }, i) => isWhole || (i === lines.length - 1 && !text.endsWith('\n'))));
        assert.equal(lines.at(-1)?.end ?? 0, size);
        fs.rmSync(file);
      },
    ),
    { numRuns: 60 },
  );
});

test('linesOf() does not keep a line that is longer than any event, and reads on after it', async () => {
  const file = fileOf(`a\n${'x'.repeat(5 * 2 ** 20)}\nb\n`);
  const lines = await linesIn(file);
  assert.deepEqual(
    lines.map(({ text, isTooLong }) => [text, isTooLong]),
    [
      ['a', false],
      ['', true],
      ['b', false],
    ],
  );
  assert.deepEqual(parseLine(lines[1]!), { kind: 'bad', message: 'it is longer than 1048576 bytes' });
});

test('linesOf() reads an endless line in bounded memory', async () => {
  const file = fileOf('');
  fs.truncateSync(file, 2 ** 28); // zeros, which take no room on the disk
  const memory = trackMemory();
  for await (const lines of linesOf(file, { ...LOG_START })) {
    memory.look();
    assert.ok(lines.every(({ isTooLong, text }) => isTooLong && text === ''));
  }
  assert.ok(memory.grown() < 2 ** 27, `${memory.grown()} bytes`);
});

test('linesOf() refuses what is not a log in one sentence', async () => {
  const folder = temporaryFolder();
  const [pipe, link, none] = ['pipe', 'link', 'none'].map((name) => join(folder, name)) as [string, string, string];
  execFileSync('mkfifo', [pipe]);
  fs.symlinkSync(fileOf('a\n'), link);
  const cases: [string, RegExp][] = [
    [pipe, /pipe: it is not a plain file, expected the log.ndjson of a run$/],
    [folder, /: it is (a folder|not a plain file), expected the log.ndjson of a run$/],
    [link, /link: it is a link, expected a plain file; name the file that it leads to$/],
    [none, /none: it is not there, expected the log.ndjson of a run$/],
    [join(pipe, 'log'), /: part of the path is a file, expected/],
  ];
  for (const [file, message] of cases) {
    await assert.rejects(linesIn(file), (error: Error) => {
      assert.ok(error instanceof SplitError, error.stack);
      assert.match(error.message, /^Cannot read the log /);
      assert.match(error.message, message);
      return true;
    });
  }
});

test('parseLine() returns each event as it was written', () => {
  for (const [i, line] of logText(ALL_EVENTS).trimEnd().split('\n').entries()) {
    const result = parsed(line);
    assert.ok(result.kind === 'event', line);
    assert.deepEqual([result.event, result.unknown], [ALL_EVENTS[i], []]);
  }
});

test('parseLine() accepts lines of older versions, without level and msg, and any order of the fields', () => {
  const result = parsed('{"message":"mind the gap","event":"warning","time":5}');
  assert.deepEqual(result, { kind: 'event', time: 5, event: WARNING, unknown: [] });
});

test('parseLine() reads NaN and infinities, and leaves a text of these letters', () => {
  const step = parsed(stepLine({ loss: 'NaN', step_ms: '-Infinity' }));
  assert.ok(step.kind === 'event' && step.event.event === 'train_step');
  assert.deepEqual([step.event.loss, step.event.step_ms], [Number.NaN, Number.NEGATIVE_INFINITY]);
  const warning = parsed('{"time":1,"event":"warning","message":"NaN"}');
  assert.deepEqual(warning, { kind: 'event', time: 1, event: { event: 'warning', message: 'NaN' }, unknown: [] });
});

test('parseLine() accepts what a newer version may add, and says what it is', () => {
  const added = parsed(stepLine({ energy: 5, towers: [{ ...trainStep(1).towers[0], watts: 3 }] }));
  assert.ok(added.kind === 'event');
  assert.deepEqual([...added.unknown].sort(), ['train_step.energy', 'train_step.towers.0.watts']);
  assert.deepEqual(parsed('{"time":3,"event":"lunch"}'), { kind: 'other', time: 3, name: 'lunch' });
});

test('parseLine() says what is wrong with a line', () => {
  const cases: [string, RegExp][] = [
    [stepLine({ loss: 'high' }), /^train_step\.loss: expected a number, found "high"$/],
    [stepLine({ loss: undefined }), /^train_step\.loss: it is missing, expected a number$/],
    [
      stepLine({ towers: [{ ...trainStep(1).towers[0], wait_ms: null }] }),
      /^train_step\.towers\.0\.wait_ms: expected a number, found null$/,
    ],
    [stepLine({ towers: 3 }), /^train_step\.towers: expected a list, found 3$/],
    ['{"time":1,"event":"check","passed":1}', /^check\./],
    ['{"time":1,"event":"warning","message":5}', /^warning\.message: expected text, found 5$/],
    ['{"time":1,"event":"warning","message":"a","kind":"b"}', /^warning\.kind: expected "no-learning" or /],
    ['{"event":"warning","message":"a"}', /^time: expected milliseconds since 1970$/],
    ['{"time":1e300,"event":"warning","message":"a"}', /^time: expected milliseconds since 1970$/],
    ['{"time":1}', /^event: expected the name of an event$/],
    ['[]', /^expected an object$/],
    ['null', /^expected an object$/],
    ['{"time":1,', /^it is not JSON \(/],
    ['\u0000\u0001ÿ', /^it is not JSON \(/],
    [`${'['.repeat(5000)}${']'.repeat(5000)}`, /^it is not JSON \(its lists and objects are nested/],
    ['version https://git-lfs.github.com/spec/v1', /Git LFS pointer/],
  ];
  for (const [text, message] of cases) {
    const result = parsed(text);
    assert.ok(result.kind === 'bad', text);
    assert.match(result.message, message);
  }
  assert.deepEqual(parsed('{"time":1,"event":"constructor"}'), { kind: 'other', time: 1, name: 'constructor' });
  assert.deepEqual(parsed('{"time":1,', { isWhole: false }), { kind: 'bad', message: 'it is cut off' });
  assert.deepEqual(parsed('  '), { kind: 'blank' });
});

test('eventsIn() yields the events, without what is none, and nothing of a file that is not there', async () => {
  const text = logText(ALL_EVENTS);
  const events = await eventsOf(fileOf(`\n${text}junk\n{"time":1,"event":"lunch"}\n${text.slice(0, 40)}`));
  assert.deepEqual(events, ALL_EVENTS);
  assert.deepEqual(await eventsOf(fileOf('').replace('.ndjson', '.none')), []);
});

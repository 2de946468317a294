/** The log: every line can be read again, also after a kill or on a full disk, and the documentation lists every field. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { z } from 'zod';
import { EVENTS, type EventName, eventWriter, type LogEvent, nonFiniteAsStrings, openLog } from '../src/log.js';
import { ALL_EVENTS, RUN_END, trainStep, WARNING } from './events.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-log-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

function linesOf(file: string): Record<string, unknown>[] {
  const text = fs.readFileSync(file, 'utf8');
  assert.ok(text.endsWith('\n'), 'the last line is whole');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The event must have exactly the fields of its schema. */
function assertValid({ time, event, ...fields }: Record<string, unknown>): void {
  assert.ok(Number.isInteger(time));
  const { success, error } = EVENTS[event as EventName].safeParse(fields);
  assert.ok(success, `${event}: ${error?.message}`);
}

test('openLog() writes every event as a line that its schema accepts', () => {
  const file = join(folder, 'new', 'folder', 'log.ndjson');
  const log = openLog(file);
  ALL_EVENTS.forEach(log.write);
  log.close();
  const lines = linesOf(file);
  assert.deepEqual(new Set(ALL_EVENTS.map(({ event }) => event)), new Set(Object.keys(EVENTS)));
  lines.forEach(assertValid);
  assert.deepEqual(
    lines.map(({ time: _, ...event }) => event),
    ALL_EVENTS,
  );
  assert.deepEqual(Object.keys(lines[0]!).slice(0, 2), ['time', 'event']);
});

test('openLog() appends to an existing log', () => {
  const file = join(folder, 'twice.ndjson');
  for (const message of ['one', 'two']) {
    const log = openLog(file);
    log.write({ event: 'warning', message });
    log.close();
  }
  assert.deepEqual(
    linesOf(file).map(({ message }) => message),
    ['one', 'two'],
  );
});

test('openLog() writes NaN and infinities as strings', () => {
  const file = join(folder, 'nan.ndjson');
  const log = openLog(file);
  const step = trainStep(1, { loss: Number.NaN, images_per_s: Number.POSITIVE_INFINITY });
  log.write({ ...step, towers: [{ ...step.towers[0]!, wait_ms: Number.NEGATIVE_INFINITY }] });
  log.close();
  const [line] = linesOf(file);
  assertValid(line!);
  const {
    loss,
    images_per_s: speed,
    towers,
  } = line as { loss: string; images_per_s: string; towers: [{ wait_ms: string }] };
  assert.deepEqual([loss, speed, towers[0].wait_ms], ['NaN', 'Infinity', '-Infinity']);
});

test('nonFiniteAsStrings() changes only non-finite numbers, at any depth', () => {
  const value = { a: [1, Number.NaN, { b: -Infinity, c: null, d: 'x', e: true }], f: { g: { h: Infinity } } };
  assert.deepEqual(nonFiniteAsStrings(value), {
    a: [1, 'NaN', { b: '-Infinity', c: null, d: 'x', e: true }],
    f: { g: { h: 'Infinity' } },
  });
});

/** What {@link eventWriter} writes; one element for each call of `write`. */
function written(events: readonly LogEvent[]): string[] {
  const lines: string[] = [];
  events.forEach(eventWriter({ write: (line) => lines.push(line) }));
  return lines;
}

test('eventWriter() writes an event as one line in one call, without control characters', () => {
  const lines = written([{ ...RUN_END, top1: Number.NaN, error: 'a\u001b[2J\nb\u009b' }]);
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /^[^\n]*\n$/);
  assert.doesNotMatch(lines[0]!.trimEnd(), /\p{Cc}/u);
  const line = JSON.parse(lines[0]!) as Record<string, unknown>;
  assertValid(line);
  assert.deepEqual([line.top1, line.error], ['NaN', 'a\u001b[2J\nb\u009b']);
});

test('openLog() keeps the lines of a process that is killed', async () => {
  const file = join(folder, 'killed.ndjson');
  const program = `
    import { openLog } from ${JSON.stringify(new URL('../src/log.js', import.meta.url).href)};
    const log = openLog(${JSON.stringify(file)});
    for (let i = 0; i < 100; i++) log.write({ event: 'warning', message: String(i) });
    process.stdout.write('written');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('exit', (_, signal) => resolve(signal)));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.kill('SIGKILL');
  assert.equal(await ended, 'SIGKILL');
  assert.deepEqual(
    linesOf(file).map(({ message }) => Number(message)),
    [...Array(100).keys()],
  );
});

test('openLog() says in one sentence why it cannot create a file', () => {
  fs.writeFileSync(join(folder, 'file'), '');
  fs.mkdirSync(join(folder, 'a-folder'));
  const cases: [file: string, reason: RegExp][] = [
    [join(folder, 'file', 'log.ndjson'), /part of the path is a file; choose another folder with --out$/],
    [join(folder, 'file', 'sub', 'log.ndjson'), /part of the path is a file; choose another folder with --out$/],
    [join(folder, 'a-folder'), /it is a folder; move it away, or choose another --run$/],
  ];
  for (const [file, message] of cases) {
    assert.throws(() => openLog(file), { name: 'SplitError', message });
    assert.throws(
      () => openLog(file),
      (error: Error) => error.message.startsWith(`Cannot write the log ${file}: `),
    );
  }
});

const noFullDisk = fs.existsSync('/dev/full') ? false : 'there is no /dev/full here to stand for a full disk';

test('openLog() says in one sentence that the disk is full, and still closes', { skip: noFullDisk }, () => {
  const log = openLog('/dev/full');
  const message =
    'Cannot write the log /dev/full: the disk is full; free some space, or choose another folder with --out';
  assert.throws(() => log.write(WARNING), { name: 'SplitError', exitCode: 1, message });
  log.close();
});

// ---- docs/log-events.md

const DOCS = fs.readFileSync(new URL('../../docs/log-events.md', import.meta.url), 'utf8');

/** The fields' paths, `towers[].device`, with whether they may be absent. */
function fieldsOf(type: z.ZodType, path = '', within = false): Map<string, boolean> {
  const optional = within || type instanceof z.ZodOptional;
  const inner = type instanceof z.ZodOptional ? (type.unwrap() as z.ZodType) : type;
  if (inner instanceof z.ZodArray) return fieldsOf(inner.element as z.ZodType, `${path}[]`, optional);
  if (!(inner instanceof z.ZodObject)) return new Map([[path, optional]]);
  const shape = inner.shape as Record<string, z.ZodType>;
  return new Map(
    Object.entries(shape).flatMap(([key, each]) => [...fieldsOf(each, path === '' ? key : `${path}.${key}`, optional)]),
  );
}

/** What the tables of the documentation have: by event, the fields and whether they may be absent. */
function documented(): Map<string, Map<string, boolean>> {
  const events = new Map<string, Map<string, boolean>>();
  for (const section of DOCS.split(/^## /m).slice(1)) {
    const name = section.match(/^`(\w+)`\n/)?.[1];
    if (name === undefined) continue; // a section about something else
    const rows = [...section.matchAll(/^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|$/gm)];
    assert.equal(new Set(rows.map((row) => row[1])).size, rows.length, `${name}: a field stands there twice`);
    events.set(name, new Map(rows.map(([, field, type]) => [field!, type!.includes('may be absent')])));
  }
  return events;
}

test('docs/log-events.md lists every field of EVENTS and nothing else', () => {
  const expected = new Map(Object.entries(EVENTS).map(([name, type]) => [name, fieldsOf(type)]));
  assert.deepEqual(documented(), expected);
});

test('the programs in docs/log-events.md work', () => {
  const programs = [...DOCS.matchAll(/^node -e '([^']+)' < \S+$/gm)].map((match) => match[1]!);
  assert.equal(programs.length, 2);
  const events: LogEvent[] = [
    ...ALL_EVENTS.slice(0, 2),
    trainStep(1, { step_ms: 500 }),
    trainStep(2),
    trainStep(3),
    RUN_END,
  ];
  const input = written(events).join('');
  const found = programs.map((program) => {
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', program], { input, encoding: 'utf8' });
    assert.equal(stderr, '');
    return Number(stdout);
  });
  assert.deepEqual(found, [200, 1 - 30 / 540]);
});

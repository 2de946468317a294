/** The lines of the log: what pino's users expect of them, and that each can be read again, also after a kill or on a full disk. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { eventLine } from '../src/event-lines.js';
import { EVENTS, type EventName, type LogEvent } from '../src/log.js';
import { eventWriter, openLog } from '../src/log-writer.js';
import { ALL_EVENTS, CHECK, RUN_END, RUN_START, trainStep, WARNING } from './events.js';

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
function assertValid({ level, time, msg, event, ...fields }: Record<string, unknown>): void {
  assert.ok([30, 40, 50].includes(level as number) && Number.isInteger(time));
  assert.equal(typeof msg, 'string');
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
    lines.map(({ level: _level, time: _time, msg: _msg, ...event }) => event),
    ALL_EVENTS,
  );
  const steps = RUN_START.steps;
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    ALL_EVENTS.map((event) => eventLine(event, steps)),
  );
  for (const line of lines) {
    const keys = Object.keys(line);
    assert.deepEqual([...keys.slice(0, 3), keys.at(-1)], ['level', 'time', 'event', 'msg']);
  }
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
  const [warning] = written([{ event: 'warning', message: 'a\u001b[2J\nb' }]).map((each) => JSON.parse(each));
  assert.deepEqual([warning.message, warning.msg], ['a\u001b[2J\nb', 'a\\u001b[2J\\nb'], 'also for pino-pretty');
});

test('openLog() keeps the lines of a process that is killed', async () => {
  const file = join(folder, 'killed.ndjson');
  const program = `
    import { openLog } from ${JSON.stringify(new URL('../src/log-writer.js', import.meta.url).href)};
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

test("eventWriter() writes pino's level: 40 for a warning, 50 for a run or a check that failed, else 30", () => {
  const levelsOf = (...events: LogEvent[]) =>
    written(events).map((line) => (JSON.parse(line) as { level: number }).level);
  const rest = ALL_EVENTS.filter(({ event }) => event !== 'warning');
  assert.deepEqual(new Set(levelsOf(...rest)), new Set([30]));
  assert.deepEqual(levelsOf(WARNING, { ...CHECK, passed: false }, { ...RUN_END, status: 'failed' }), [40, 50, 50]);
  assert.deepEqual(levelsOf({ ...RUN_END, status: 'stopped' }), [30]);
});

test('eventWriter() writes a message with format characters as it is', () => {
  const [line] = written([{ event: 'warning', message: '100 %d %s %o %%' }]);
  assert.equal((JSON.parse(line!) as { msg: string }).msg, '100 %d %s %o %%');
});

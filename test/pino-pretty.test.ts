/** pino's own viewer prints the log as its users know it: time, level and sentence, then the fields. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { eventWriter } from '../src/log-writer.js';
import { ALL_EVENTS, CHECK, RUN_END, TRACE } from './events.js';
import { ROOT } from './native/child.js';
import { toolFile } from './tools.js';

const found = toolFile('pino-pretty/bin.js');

function pretty(log: string, ...flags: string[]): string {
  assert.ok('tool' in found);
  const options = { input: log, encoding: 'utf8', maxBuffer: 2 ** 28 } as const;
  return execFileSync(process.execPath, [found.tool, '--no-colorize', ...flags], options);
}

const LEVELS: Record<number, string> = { 30: 'INFO', 40: 'WARN', 50: 'ERROR' };

function assertPretty(log: string): void {
  const events = log
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { level: number; msg: string; event: string });
  const heads = events.map(({ level, msg }) => `${LEVELS[level]}: ${msg}`);
  const lines = pretty(log).split('\n');
  const time = /^\[\d\d:\d\d:\d\d\.\d\d\d\] /;
  const printed = lines.filter((line) => time.test(line)).map((line) => line.replace(time, ''));
  assert.deepEqual(printed, heads);
  const fields = lines.filter((line) => !time.test(line) && line !== '');
  assert.deepEqual(
    fields.filter((line) => !line.startsWith('    ')),
    [],
    'no line is printed as it is',
  );
  assert.equal(fields.filter((line) => /^ {4}event: /.test(line)).length, events.length);
  // One line each, without the fields.
  const short = pretty(log, '--hideObject').trimEnd().split('\n');
  assert.deepEqual(
    short.map((line) => line.replace(time, '')),
    heads,
  );
}

test('pino-pretty prints every kind of event, also long ones', { skip: 'skip' in found && found.skip }, () => {
  const lines: string[] = [];
  const write = eventWriter({ write: (line) => lines.push(line) });
  ALL_EVENTS.forEach(write);
  write({ ...CHECK, passed: false, worst_relative: Number.NaN });
  write({ ...RUN_END, status: 'failed', error: 'it failed\nin two lines' });
  const [tower] = TRACE.towers;
  write({ ...TRACE, towers: [{ ...tower!, spans: Array.from({ length: 3000 }, () => tower!.spans).flat() }] });
  write({ event: 'warning', message: `${'long '.repeat(20_000)}\u001b[2J` });
  assert.ok(lines.at(-2)!.length > 2 ** 20);
  assertPretty(lines.join(''));
});

test('pino-pretty prints the logs of runs', { skip: 'skip' in found && found.skip }, () => {
  for (const name of ['split', 'single', 'resumed']) {
    assertPretty(fs.readFileSync(join(ROOT, 'test', 'fixtures', 'logs', `${name}.ndjson`), 'utf8'));
  }
});

import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import type { LogEvent } from '../../src/log.js';
import { csvOf, type NamedLog } from '../../src/report/csv.js';
import { RESUME, RUN_START, trainStep } from '../events.js';
import { duckdb } from '../tools.js';
import { logFiles, recorded } from './logs.js';

const fileOf = logFiles();
const database = await duckdb();

async function csv(...logs: NamedLog[]): Promise<string> {
  let text = '';
  for await (const part of csvOf(logs)) text += part;
  return text;
}

const rowsOf = (text: string) =>
  text
    .split('\r\n')
    .slice(0, -1)
    .map((row) => row.split(','));

test('csvOf() has a row for each step with the fields of the log, the towers flattened', async () => {
  const [header, ...rows] = rowsOf(await csv({ run: 'r', file: fileOf([RUN_START, trainStep(1), trainStep(2)]) }));
  const towers = [0, 1].flatMap((tower) =>
    ['step_ms', 'compute_ms', 'exchange_ms', 'wait_ms', 'exchange_bytes'].map((field) => `tower${tower}_${field}`),
  );
  assert.deepEqual(header, [
    ...['run', 'time', 'step', 'epoch', 'images', 'loss', 'top1', 'learning_rate', 'images_per_s', 'step_ms'],
    ...['data_ms', 'compute_ms', 'exchange_ms', 'wait_ms', 'other_ms', 'exchange_bytes'],
    ...['decode_ms', 'ready_images', 'read_bytes', 'device_bytes', 'gradient_norm', 'resident_bytes'],
    ...['replicas', 'average_bytes', 'steps', 'last_loss'],
    ...['loss', 'step_ms', 'data_ms', 'compute_ms', 'exchange_ms', 'wait_ms'].map((name) => `worst_${name}`),
    ...['gradient_norm', 'decode_ms', 'ready_images'].map((name) => `worst_${name}`),
    ...towers,
  ]);
  assert.equal(rows.length, 2);
  const [, second] = rows;
  const value = (name: string) => second![header.indexOf(name)];
  assert.deepEqual([value('run'), value('step'), value('loss'), value('tower1_compute_ms')], ['r', '2', '2.3', '9']);
  assert.deepEqual([value('steps'), value('worst_step_ms'), value('gradient_norm')], ['1', '', '']);
});

test('csvOf() has a repeated step once, with its later line, and a run with fewer towers has empty cells', async () => {
  const single = { ...trainStep(3), towers: trainStep(3).towers.slice(0, 1) };
  const again: LogEvent[] = [RUN_START, { ...RESUME, step: 1 }, trainStep(2, { loss: 9 }), single];
  const file = fileOf([RUN_START, trainStep(1), trainStep(2), trainStep(3), ...again]);
  const other = fileOf([RUN_START, trainStep(1, { loss: Number.NaN })]);
  const [header, ...rows] = rowsOf(await csv({ run: 'a', file }, { run: 'b', file: other }));
  const column = (name: string) => rows.map((row) => row[header!.indexOf(name)]).join(' ');
  assert.equal(column('run'), 'a a a b');
  assert.equal(column('step'), '1 2 3 1');
  assert.equal(column('loss'), '2.3 9 2.3 NaN');
  assert.equal(column('tower1_wait_ms'), '4 4  4');
  assert.ok(rows.every((row) => row.length === header!.length));
});

test('csvOf() quotes a name as RFC 4180 says, and no name is a formula', async () => {
  const file = fileOf([RUN_START, trainStep(1)]);
  const start = async (run: string) => (await csv({ run, file })).split('\r\n')[1]!;
  assert.match(await start('a,"b"\nc'), /^"a,""b""\nc",\d+,1,/);
  assert.match(await start('=1+1'), /^'=1\+1,\d+,1,/);
  assert.match(
    await csv({ run: 'none', file: fileOf('') }),
    /^run,time,step,[\w,]+,exchange_bytes,[\w,]+,worst_ready_images\r\n$/,
  );
});

test('DuckDB reads the CSV of real runs, with numbers', { skip: 'skip' in database && database.skip }, async () => {
  assert.ok('tool' in database);
  const logs = [
    { run: 'resumed, "twice"', file: recorded('resumed') },
    { run: 'single', file: recorded('single') },
  ];
  const broken = fileOf([
    RUN_START,
    trainStep(1, { loss: Number.NaN }),
    trainStep(2, { loss: Number.POSITIVE_INFINITY }),
  ]);
  const file = fileOf(await csv(...logs, { run: 'NaN', file: broken }));
  const rows = await database.tool(
    `select run, count(*)::int as steps, count(distinct step)::int as different, sum(images)::int as images, max(abs(tower0_compute_ms + tower0_exchange_ms + tower0_wait_ms - tower0_step_ms)) < 1e-6 as sums from read_csv('${file}') group by run order by steps desc`,
  );
  assert.deepEqual(rows, [
    { run: 'resumed, "twice"', steps: 40, different: 40, images: 2560, sums: true },
    { run: 'single', steps: 30, different: 30, images: 1920, sums: true },
    { run: 'NaN', steps: 2, different: 2, images: 8, sums: true },
  ]);
  const types = await database.tool(
    `select typeof(loss) as loss, typeof(tower1_wait_ms) as wait from read_csv('${file}') limit 1`,
  );
  assert.deepEqual(types, [{ loss: 'DOUBLE', wait: 'DOUBLE' }]);
  fs.rmSync(file);
});

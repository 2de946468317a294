/** The metrics of a run, read by Prometheus' own checker and by the parser of its Python client. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';
import type { LogEvent } from '../../src/log.js';
import { runMetrics } from '../../src/report/prometheus.js';
import { ALL_EVENTS, CHECKPOINT, EVAL, MEMORY, RESUME, RUN_START, trainStep } from '../events.js';
import { python } from '../tools.js';

/** Every sample of a text, by name and labels. */
const PROGRAM = `
import json, math, sys
from prometheus_client.parser import text_string_to_metric_families
samples, types = {}, {}
for family in text_string_to_metric_families(sys.argv[1]):
    assert family.documentation, family.name
    types[family.name] = family.type
    for sample in family.samples:
        labels = ','.join(f'{key}={value}' for key, value in sorted(sample.labels.items()))
        name = sample.name + ('{' + labels + '}' if labels else '')
        assert name not in samples, name
        samples[name] = sample.value if math.isfinite(sample.value) else str(sample.value)
json.dump({'samples': samples, 'types': types}, sys.stdout)
`;

const parser = await python('prometheus_client.parser');
const skip = 'skip' in parser && parser.skip;

async function textOf(events: readonly LogEvent[]): Promise<string> {
  const { see, text } = runMetrics();
  for (const event of events) see(event);
  const { type, body } = await text();
  assert.match(type, /^text\/plain; version=0\.0\.4; charset=utf-8$/);
  return body;
}

async function parse(
  text: string,
): Promise<{ samples: Record<string, number | string>; types: Record<string, string> }> {
  assert.ok('tool' in parser);
  return JSON.parse(await parser.tool(PROGRAM, text));
}

test('metrics say what the events say, in seconds and bytes', { skip }, async () => {
  const events = [RUN_START, RESUME, MEMORY, trainStep(2), trainStep(3, { loss: 1.5 }), EVAL, CHECKPOINT];
  const { samples, types } = await parse(await textOf(events));
  const expected: Record<string, number> = {
    'run_info{placement=split,preset=mini,run=r,tensorflow=2.21.0,version=0.1.0}': 1,
    planned_steps: 3,
    step: 3,
    epoch: 1,
    train_loss: 1.5,
    train_top1_ratio: 0.25,
    learning_rate: 0.02,
    images_per_second: 200,
    steps_total: 2,
    images_total: 8,
    'step_duration_seconds_bucket{le=0.01}': 0,
    'step_duration_seconds_bucket{le=0.025}': 2,
    step_duration_seconds_count: 2,
    step_duration_seconds_sum: 0.04,
    'step_parts_seconds_total{part=compute}': 0.02,
    'step_parts_seconds_total{part=other}': 0.004,
    'tower_seconds_total{part=compute,tower=1}': 0.018,
    'tower_seconds_total{part=wait,tower=0}': 0.008,
    'tower_exchange_bytes_total{tower=0}': 400,
    'tower_tensor_bytes{tower=1}': 3000,
    eval_step: 3,
    eval_loss: 0.5,
    eval_top1_ratio: 0.82,
    eval_top5_ratio: 0.99,
    eval_seconds_total: 1.5,
    checkpoint_step: 3,
    checkpoint_bytes: 10_000,
  };
  for (const [name, value] of Object.entries(expected)) {
    const found = samples[`alexnet_split_${name}`];
    assert.ok(typeof found === 'number' && Math.abs(found - value) < 1e-12, `${name}: ${found}, expected ${value}`);
  }
  const parts = Object.entries(samples).filter(([name]) => name.startsWith('alexnet_split_step_parts_seconds_total'));
  const sum = parts.reduce((total, [, value]) => total + Number(value), 0);
  assert.ok(Math.abs(sum - 0.04) < 1e-12, String(sum));
  assert.equal(types.alexnet_split_steps, 'counter');
  assert.equal(types.alexnet_split_step_duration_seconds, 'histogram');
  const [resident, cpu] = [samples.process_resident_memory_bytes, samples.process_cpu_seconds_total];
  assert.ok(Number(resident) > 10e6 && Number(cpu) > 0, `${resident} ${cpu}`);
  assert.ok(Math.abs(Number(samples.process_start_time_seconds) - (Date.now() / 1000 - process.uptime())) < 2);
});

test('NaN, a rounding error below 0 and names with quotes are valid', { skip }, async () => {
  const run = 'a "b"\\c\nd';
  const events = [{ ...RUN_START, run }, trainStep(1, { loss: Number.NaN, other_ms: -1e-13 })];
  const { samples } = await parse(await textOf(events));
  assert.equal(samples.alexnet_split_train_loss, 'nan');
  assert.equal(samples['alexnet_split_step_parts_seconds_total{part=other}'], 0);
  assert.ok(Object.keys(samples).some((name) => name.includes(`run=${run}`)));
});

test('warnings count by kind, and runs do not mix', { skip }, async () => {
  const all = await parse(await textOf([...ALL_EVENTS, ...ALL_EVENTS]));
  assert.equal(all.samples['alexnet_split_warnings_total{kind=dead-units}'], 2);
  assert.equal(all.samples['alexnet_split_warnings_total{kind=other}'], 2);
  const other = await parse(await textOf([RUN_START]));
  assert.equal(other.samples.alexnet_split_steps_total, 0);
});

test('names say what is a counter, and have no abbreviated units', async () => {
  const types = [...(await textOf(ALL_EVENTS)).matchAll(/^# TYPE (\S+) (\w+)$/gm)];
  assert.ok(types.length > 20);
  for (const [, name, type] of types) {
    assert.match(name!, /^(alexnet_split|process)_[a-z0-9_]+$/);
    assert.equal(name!.endsWith('_total'), type === 'counter', `${name} is a ${type}`);
    assert.doesNotMatch(name!, /_(ms|s|sec|msec|kb|mb|kib|mib)(_|$)/);
  }
});

const promtool = spawnSync('promtool', ['--version']);

test("Prometheus' checker accepts the metrics", { skip: promtool.error && 'promtool is not on the PATH' }, async () => {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: await textOf(ALL_EVENTS),
    encoding: 'utf8',
  });
  assert.deepEqual([status, stdout, stderr], [0, '', '']);
});

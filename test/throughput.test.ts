/**
 * Every line of docs/throughput.md, taken from the page, runs on recorded logs: of a split run, a single one, and one that
 * was killed and resumed. Its answer is compared with one that is computed here from the events.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import type { EventName, EventOf, LogEvent } from '../src/log.js';
import { analyseLog } from '../src/report/analyse.js';
import { firstStepOf, gatherSteps, meanStep, stepsIn } from '../src/step-lines.js';
import { ROOT } from './native/child.js';
import { duckdb, jq } from './tools.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-throughput-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const DOCS = join(ROOT, 'docs');
const [counted, macros] = ['counted.jq', 'counted.sql'].map((name) =>
  fs.readFileSync(join(DOCS, 'throughput', name), 'utf8'),
) as [string, string];
const [withJq, withSql] = [await jq(), await duckdb()];
if ('tool' in withSql) await withSql.tool(macros);

// ---- logs

const recorded = (name: string) => fs.readFileSync(join(ROOT, 'test', 'fixtures', 'logs', `${name}.ndjson`), 'utf8');
const linesOf = (text: string) => text.split('\n').filter((line) => line !== '');
const textOf = (lines: readonly string[]) => `${lines.join('\n')}\n`;
const where = (lines: readonly string[], event: EventName, from = 0) =>
  lines.findIndex((line, i) => i >= from && line.includes(`"event":"${event}"`));

/** A line whose numbers have three decimals; the parts of a step's time sum to it as before. */
function shortened(line: string): string {
  const short = line.replaceAll(/(\.\d{3})\d+/g, '$1');
  if (!short.includes('"event":"train_step"')) return short;
  const { step_ms, data_ms, compute_ms, exchange_ms, wait_ms } = JSON.parse(short) as EventOf<'train_step'>;
  const other = step_ms - data_ms - compute_ms - exchange_ms - wait_ms;
  return short.replace(/"other_ms":[\d.]+/, `"other_ms":${other.toFixed(3)}`);
}

/**
 * Without layer statistics and spans, about which no question is, and with fewer decimals: jq-wasm's time grows with the
 * square of the size.
 */
const [split, resumed] = ['split', 'resumed'].map((name) =>
  linesOf(recorded(name))
    .filter((line) => !line.includes('"event":"activations"'))
    .map((line) => shortened(line.replaceAll(/"spans":\[.*?\]/g, '"spans":[]'))),
) as [string[], string[]];
/** The second step after the resume is the last line that was written whole. */
const afterResume = where(resumed, 'train_step', where(resumed, 'exchange', where(resumed, 'resume')));
const untilEval = split.slice(0, where(split, 'eval') + 1);

/** As an earlier version wrote the line, and with losses and accuracies that are NaN. */
function otherLine(line: string, i: number): string {
  const { level: _level, msg: _msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const { loss, top1 } = fields;
  return JSON.stringify({
    ...fields,
    ...(loss && i % 3 === 0 ? { loss: 'NaN' } : {}),
    ...(top1 && i % 2 ? { top1: 'NaN' } : {}),
  });
}

/** As a run with `--log-steps 4` writes the events. The checkpoint that the run resumes from is that of step 20. */
function inLines(lines: readonly string[]): string {
  const joined: string[] = [];
  let time = 0;
  const { see, flush } = gatherSteps(4, (event) => joined.push(JSON.stringify({ time, ...event })));
  for (const line of lines) {
    const event = JSON.parse(line) as LogEvent & { time: number };
    time = event.time;
    see(event);
    if (event.event === 'train_step' && event.step === 20) flush();
  }
  return textOf(joined);
}

const LOGS: Record<string, string> = {
  'of a split run, with a trace and NaN, of an earlier version': textOf(split.map(otherLine)),
  'of a resumed run': textOf(resumed),
  'directly after a resume': `${textOf(resumed.slice(0, afterResume + 1))}${resumed[afterResume + 1]!.slice(0, 300)}`,
  'that ends with its resume': textOf(resumed.slice(0, where(resumed, 'resume') + 1)),
  'of a run that began again with step 1': textOf([...untilEval, ...untilEval.slice(0, -4)]),
  'that is empty': '',
  'of a resumed run, with several steps in a line': inLines(resumed),
};

/** The events that count: each process's up to where a later one went on. */
function counting(text: string): LogEvent[] {
  const events = linesOf(text).flatMap((line): LogEvent[] => {
    try {
      return [JSON.parse(line)];
    } catch {
      return [];
    }
  });
  const starts = events.flatMap(({ event }, i) => (event === 'run_start' ? [i] : []));
  const processes = starts.map((start, i) => events.slice(start, starts[i + 1]));
  const begins = processes.map((process) => {
    const resume = process.find((each) => each.event === 'resume');
    return resume ? resume.step : Math.min(...of(process, 'train_step').map((each) => firstStepOf(each) - 1));
  });
  return processes.flatMap((process, i) => {
    const last = Math.min(...begins.slice(i + 1));
    return process.filter((event) => !('step' in event) || (event.step ?? 0) <= last);
  });
}

function of<Name extends EventName>(events: readonly LogEvent[], name: Name) {
  return events.filter((event): event is EventOf<Name> => event.event === name);
}

type Step = EventOf<'train_step'>;

/** The steps that count, but the first of each process and traced ones. */
function steady(events: readonly LogEvent[]): Step[] {
  const rest = events.filter(({ event }) => event === 'run_start' || event === 'train_step');
  const traced = new Set(of(events, 'trace').map(({ step }) => step));
  return rest.filter(
    (event, i): event is Step =>
      event.event === 'train_step' && rest[i - 1]!.event === 'train_step' && !traced.has(event.step),
  );
}

function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0);
}

const count = (steps: readonly Step[]) => sum(steps, stepsIn);

/** `0 / 0` is null, as in the lines. */
const ratio = (a: number, b: number) => (b === 0 ? null : a / b);
const rate = (steps: readonly Step[]) =>
  sum(steps, ({ images }) => images) / (sum(steps, (step) => step.step_ms) / 1000);

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

// ---- questions

/** By the beginning of the question: the answer to it, computed from the events of a log. */
const ANSWERS: Record<string, (events: LogEvent[]) => unknown> = {
  'How many images per second': (events) => {
    const steps = steady(events);
    return steps.length === 0 ? null : rate(steps);
  },

  'What share of the time': (events) => {
    const steps = steady(events);
    const share = (part: (step: Step) => number) =>
      ratio(
        sum(steps, part),
        sum(steps, (step) => step.step_ms),
      );
    return {
      not_computing: share((step) => step.data_ms + step.exchange_ms + step.wait_ms + step.other_ms),
      data: share((step) => step.data_ms),
      exchange: share((step) => step.exchange_ms),
      wait: share((step) => step.wait_ms),
      other: share((step) => step.other_ms),
    };
  },

  'Which tower is slower': (events) => {
    const steps = steady(events);
    const towers = (steps[0]?.towers ?? []).map(({ tower }, i) => ({
      tower,
      compute_ms: sum(steps, (step) => step.towers[i]!.compute_ms) / count(steps),
    }));
    const fastest = Math.min(...towers.map((each) => each.compute_ms));
    return towers
      .map((each) => ({ ...each, times_the_faster: each.compute_ms / fastest }))
      .toSorted((a, b) => b.compute_ms - a.compute_ms);
  },

  'Who waits for whom': (events) => {
    const steps = steady(events);
    return (steps[0]?.towers ?? []).map(({ tower }, i) => {
      const wait = sum(steps, (step) => step.towers[i]!.wait_ms);
      return { tower, wait_ms: wait / count(steps), share: wait / sum(steps, (step) => step.towers[i]!.step_ms) };
    });
  },

  'Is the exchange hidden': (events) =>
    of(events, 'trace').flatMap(({ step, towers }) =>
      towers.map(({ tower, hidden_exchange_ms: hidden, parts_ms: parts }) => {
        return { step, tower, hidden: hidden / (hidden + parts.exchange) };
      }),
    ),

  'How many bytes cross': (events) => {
    const steps = steady(events);
    const bytes = new Map<string, number>();
    for (const each of of(events, 'exchange').at(-1)?.sites ?? [])
      bytes.set(each.site, (bytes.get(each.site) ?? 0) + each.bytes);
    const perSecond = count(steps) / (sum(steps, (step) => step.step_ms) / 1000);
    return [...bytes]
      .map(([site, all]) => ({ site, bytes_per_step: all, mb_per_s: (all * perSecond) / 1e6 }))
      .toSorted((a, b) => b.bytes_per_step - a.bytes_per_step);
  },

  'Is loading the data': (events) => {
    const steps = steady(events);
    return {
      share: ratio(
        sum(steps, (step) => step.data_ms),
        sum(steps, (step) => step.step_ms),
      ),
      steps_that_waited: count(steps.filter((step) => step.data_ms / step.step_ms > 0.05)),
      steps: count(steps),
    };
  },

  'How did the rate change': (events) => {
    const steps = steady(events);
    // Ten parts as equal as possible, the larger ones first.
    const sizes = Array.from({ length: 10 }, (_, i) => Math.floor(steps.length / 10) + Number(i < steps.length % 10));
    return [0, 9].flatMap((i) => {
      const start = sum(sizes.slice(0, i), (size) => size);
      const part = steps.slice(start, start + sizes[i]!);
      if (part.length === 0) return [];
      return [{ tenth: i + 1, from_step: part[0]!.step, to_step: part.at(-1)!.step, images_per_s: rate(part) }];
    });
  },

  'Which steps were slowest': (events) => {
    const steps = steady(events).map(meanStep);
    const parts = ['data', 'compute', 'exchange', 'wait', 'other'] as const;
    return steps
      .toSorted((a, b) => b.step_ms - a.step_ms)
      .slice(0, 3)
      .map((step) => ({
        step: step.step,
        step_ms: step.step_ms,
        ...Object.fromEntries(
          parts.map((part) => [part, step[`${part}_ms`] - median(steps.map((each) => each[`${part}_ms`]))]),
        ),
      }));
  },

  'What did evaluations and checkpoints': (events) => ({
    steps: sum(of(events, 'train_step'), (each) => each.step_ms / 1000),
    evaluations: sum(of(events, 'eval'), (each) => each.eval_ms / 1000),
    checkpoints: sum(of(events, 'checkpoint'), (each) => (each.wait_ms + each.copy_ms) / 1000),
  }),

  'When did the test accuracy': (events) => reached(events, 0.8),
};

/** Evaluations with NaN do not count. */
function reached(events: readonly LogEvent[], top1: number): unknown[] {
  const i = events.findIndex((each) => each.event === 'eval' && each.top1 >= top1);
  if (i < 0) return [];
  const { step, epoch, top1: found } = events[i] as EventOf<'eval'>;
  const steps = of(events.slice(0, i), 'train_step');
  return [{ step, epoch, top1: found, minutes: sum(steps, (each) => each.step_ms) / 60_000 }];
}

// ---- the page

/** The command under the question that begins so. */
function commandFor(question: string): string {
  const page = fs.readFileSync(join(DOCS, 'throughput.md'), 'utf8');
  const sections = page.split(/^## /m).filter((section) => section.startsWith(question));
  assert.equal(sections.length, 1, question);
  const commands = [...sections[0]!.matchAll(/^```sh\n(.*)\n```$/gm)].map((match) => match[1]!);
  assert.equal(commands.length, 1, `${question}: one line`);
  return commands[0]!;
}

/** The program and the arguments that a shell finds in a command. */
function argumentsOf(command: string): string[] {
  const stand_in = `jq() { printf '%s\\0' jq "$@"; }; duckdb() { printf '%s\\0' duckdb "$@"; }; ${command}`;
  return execFileSync('sh', ['-c', stand_in], { encoding: 'utf8' }).split('\0').slice(0, -1);
}

/** The answer of a page's command. @param files stand for the logs in the command, in their order. */
async function answer(command: string, logs: readonly string[]): Promise<unknown> {
  const [program, ...args] = argumentsOf(command);
  if (program === 'jq') {
    const [path, library, flags, filter, file, ...rest] = args as [string, string, string, string, string];
    assert.deepEqual([path, library, flags, file, rest], ['-L', 'docs/throughput', '-nR', 'runs/mini/log.ndjson', []]);
    const [include, ...program] = filter.split(/(?<=^include "counted";)/);
    assert.equal(include, 'include "counted";');
    assert.ok('tool' in withJq);
    const [log] = logs;
    return JSON.parse(await withJq.tool(log!, `${counted}\n${program.join('')}`, ['-n', '-R']));
  }
  const [init, file, c, sql, ...rest] = args as [string, string, string, string];
  assert.deepEqual([program, init, file, c, rest], ['duckdb', '-init', 'docs/throughput/counted.sql', '-c', []]);
  assert.ok('tool' in withSql);
  const names = [...new Set(sql.match(/runs\/\w+\/log\.ndjson/g))];
  assert.equal(names.length, logs.length);
  let query = sql;
  for (const [i, name] of names.entries()) {
    fs.writeFileSync(join(folder, `${i}.ndjson`), logs[i]!);
    query = query.replaceAll(name, join(folder, `${i}.ndjson`));
  }
  return withSql.tool(query);
}

/** Numbers may differ in their last digits, and DuckDB gives integers of 128 bits as text. */
function assertClose(found: unknown, expected: unknown, path: string): void {
  if (typeof expected === 'number') {
    const value = Number(found);
    assert.ok(
      Math.abs(value - expected) <= 1e-9 * Math.max(1, Math.abs(expected)),
      `${path}: ${found}, not ${expected}`,
    );
  } else if (typeof expected === 'object' && expected !== null) {
    assert.deepEqual(Object.keys(Object(found)), Object.keys(expected), path);
    for (const [key, each] of Object.entries(expected)) {
      assertClose((found as Record<string, unknown>)[key], each, `${path}.${key}`);
    }
  } else assert.equal(found, expected, path);
}

for (const [question, expected] of Object.entries(ANSWERS)) {
  const command = commandFor(question);
  const found = command.startsWith('jq') ? withJq : withSql;
  test(`docs/throughput.md answers: ${question} …`, { skip: 'skip' in found && found.skip }, async () => {
    for (const [name, log] of Object.entries(LOGS)) {
      assertClose(await answer(command, [log]), expected(counting(log)), `the log ${name}`);
    }
  });
}

const needsSql = { skip: 'skip' in withSql && withSql.skip };

test('docs/throughput.md answers: How much faster is split than single', needsSql, async () => {
  const logs = [LOGS['directly after a resume']!, recorded('single')];
  const expected = logs.map((log, i) => {
    const steps = steady(counting(log));
    const mean = (of: (step: Step) => number) => sum(steps, of) / count(steps);
    const costs = {
      compute_ms: mean((step) => step.compute_ms),
      both: mean((step) => step.exchange_ms + step.wait_ms),
    };
    return { filename: join(folder, `${i}.ndjson`), rate: rate(steps), ...costs };
  });
  const slowest = Math.min(...expected.map((each) => each.rate));
  const rows = expected
    .toSorted((a, b) => b.rate - a.rate)
    .map(({ filename, rate, compute_ms, both }) => {
      return { filename, rate, times_the_slower: rate / slowest, compute_ms, exchange_and_wait_ms: both };
    });
  assertClose(await answer(commandFor('How much faster is split'), logs), rows, 'split and single');
});

test(
  'docs/throughput.md finds the first evaluation with an accuracy, also after a resume and with NaN',
  needsSql,
  async () => {
    const command = commandFor('When did the test accuracy');
    for (const top1 of [0.1, 0.3, 0.45]) {
      for (const [name, log] of Object.entries(LOGS)) {
        const found = await answer(command.replace('0.8', String(top1)), [log]);
        assertClose(found, reached(counting(log), top1), `${top1} in the log ${name}`);
      }
    }
  },
);

test('the questions are about the same steps as a report', async () => {
  for (const [i, log] of Object.values(LOGS).entries()) {
    const file = join(folder, `report-${i}.ndjson`);
    fs.writeFileSync(file, log);
    const { time } = await analyseLog(file);
    const steps = steady(counting(log));
    assertClose(time?.steps ?? 0, count(steps), file);
    assertClose(time?.imagesPerSecond, steps.length > 0 ? rate(steps) : undefined, file);
  }
});

test('the logs have what the questions are about', () => {
  const [trace, whole, after, ending, again] = Object.values(LOGS).map((log) => ({
    lines: linesOf(log),
    events: counting(log),
  }));
  assert.deepEqual(
    of(whole!.events, 'train_step').map(({ step }) => step),
    Array.from({ length: 45 }, (_, i) => i + 1),
  );
  assert.equal(whole!.lines.filter((line) => line.includes('"event":"train_step"')).length, 27 + 25);
  assert.equal(of(after!.events, 'train_step').at(-1)!.step, 22, 'not 27, which was done before');
  assert.deepEqual(
    of(after!.events, 'eval').map(({ step }) => step),
    [12],
  );
  assert.equal(of(ending!.events, 'train_step').at(-1)!.step, 20);
  assert.equal(of(again!.events, 'eval').length, 0);
  assert.equal(of(trace!.events, 'trace').length, 1);
  const evals = of(trace!.events, 'eval').map(({ top1 }) => Number.isNaN(Number(top1)));
  assert.deepEqual(new Set(evals), new Set([true, false]), 'some are NaN');
  assert.equal(reached(whole!.events, 0.3).length, 1);
});

test('docs/throughput.md has no other questions', () => {
  const page = fs.readFileSync(join(DOCS, 'throughput.md'), 'utf8');
  assert.equal([...page.matchAll(/^## /gm)].length, Object.keys(ANSWERS).length + 1);
});

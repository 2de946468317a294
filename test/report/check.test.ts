import assert from 'node:assert/strict';
import test from 'node:test';
import { EVENTS, type EventOf, type LogEvent } from '../../src/log.js';
import { checkLog } from '../../src/report/check.js';
import {
  ACTIVATIONS,
  CHECK,
  CHECKPOINT,
  EVAL,
  EXCHANGE,
  MEMORY,
  NETWORK,
  RESUME,
  RUN_END,
  RUN_START,
  SERVER_LOST,
  SERVERS_BACK,
  TRACE,
  trainStep,
  WARNING,
} from '../events.js';
import { logFiles, logText, rawText, recorded } from './logs.js';

const fileOf = logFiles();

async function problemsOf(content: string | readonly LogEvent[]): Promise<string[]> {
  const { problems, problemCount } = await checkLog(fileOf(typeof content === 'string' ? content : rawText(content)));
  assert.ok(problems.length <= 100 && problemCount >= problems.length);
  return problems.map(({ line, message }) => `${line}: ${message}`);
}

const resume = (step: number): EventOf<'resume'> => ({ ...RESUME, step });

test('checkLog() finds nothing wrong in the logs of real runs', async () => {
  for (const [name, runs] of [
    ['split', 1],
    ['single', 1],
    ['resumed', 2],
    ['traced', 1],
  ] as const) {
    const { problems, notes, lines, events, runs: found } = await checkLog(recorded(name));
    assert.deepEqual([problems, notes, found], [[], [], runs]);
    assert.ok(lines > 20 && lines === events);
  }
});

test('checkLog() finds nothing wrong in one event of each kind, in a valid order', async () => {
  const steps = [trainStep(1), EXCHANGE, trainStep(2), TRACE, trainStep(3)];
  const log = [RUN_START, WARNING, CHECK, ACTIVATIONS, MEMORY, ...steps, EVAL, CHECKPOINT, NETWORK, RUN_END];
  const lost = [trainStep(4), SERVER_LOST, { ...SERVERS_BACK, step: 2 }, resume(2), { ...ACTIVATIONS, step: 2 }];
  const begun = [RUN_START, resume(2), { ...ACTIVATIONS, step: 2 }, trainStep(3)];
  const resumed = [...begun, ...lost, trainStep(3), { ...RUN_END, steps: 3, servers_lost: 1 }];
  assert.deepEqual(await problemsOf([...log, ...resumed]), []);
  const kinds = new Set([...log, ...resumed].map(({ event }) => event));
  assert.deepEqual([...kinds].sort(), Object.keys(EVENTS).sort());
});

test('checkLog() names the line and the field that is wrong', async () => {
  const step = trainStep(2);
  const [first, second] = step.towers as [(typeof step.towers)[0], (typeof step.towers)[0]];
  const start = [RUN_START, trainStep(1)];
  const cases: [string | readonly LogEvent[], string][] = [
    [[...start, { ...step, loss: 'high' as never }], '3: train_step.loss: expected a number, found "high"'],
    [`${logText(start)}{"time":1,"event":"lunch"}\n`, '3: lunch: this event is not known'],
    [[...start, { ...step, energy: 1 } as LogEvent], '3: train_step.energy: this field is not known'],
    [`${logText(start)}{"time":1,`, '3: it is cut off'],
    [logText(start).trimEnd(), '2: it is cut off: it does not end with a newline'],
    [`${logText(start)}junk\n`, '3: it is not JSON (Unexpected token \'j\', "junk" is not valid JSON)'],
    // Sums.
    [
      [...start, { ...step, step_ms: 21, images_per_s: 4000 / 21 }],
      '3: train_step.step_ms: 21.0 ms is not the sum of its parts, 20.0 ms',
    ],
    [
      [...start, { ...step, images_per_s: 201 }],
      '3: train_step.images_per_s: 201 is not the images divided by the time, 200',
    ],
    [
      [...start, { ...step, exchange_bytes: 301 }],
      '3: train_step.exchange_bytes: expected the sum over the towers, 300, found 301',
    ],
    [
      [...start, { ...step, towers: [first, { ...second, wait_ms: 5 }] }],
      '3: train_step.towers.1.step_ms: 16.0 ms is not the sum of its parts, 17.0 ms',
    ],
    [
      [...start, { ...EXCHANGE, sites: EXCHANGE.sites.slice(1) }],
      '3: exchange.sites[].bytes: expected the exchange_bytes of the step, 300, found 100',
    ],
    [
      [...start, step, { ...TRACE, step_ms: 22 }],
      '4: trace.towers.0.parts_ms: 20.0 ms is not the sum of the step, 22.0 ms',
    ],
    [
      [...start, { ...RUN_END, steps: 1, images_per_s: 3 }],
      '3: run_end.images_per_s: 3 is not the images divided by the time, 200',
    ],
    // Order.
    [[trainStep(1)], '1: train_step: expected run_start before it'],
    [[...start, { ...RUN_END, steps: 1 }, trainStep(2)], '4: train_step: expected nothing after run_end but run_start'],
    [[...start, trainStep(3)], '3: train_step.step: expected 2, found 3'],
    [[RUN_START, resume(4), trainStep(6)], '3: train_step.step: expected 5, found 6'],
    [[...start, { ...step, towers: [first], exchange_bytes: 200 }], '3: train_step.towers: expected 2 towers, found 1'],
    [[...start, EVAL], '3: eval.step: expected the last step, 1, found 3'],
    [[...start, ACTIVATIONS], '3: activations.step: expected the last step, 1, found 0'],
    [[...start, MEMORY], '3: memory.step: expected the last step, 1, found 0'],
    [[...start, step, EXCHANGE], '4: exchange.step: expected the last step, 2, found 1'],
    [[...start, CHECKPOINT], '3: checkpoint.step: 3 is after the last step, 1'],
    [[...start, RUN_END], '3: run_end.steps: expected the last step, 1, found 3'],
  ];
  for (const [log, problem] of cases) assert.equal((await problemsOf(log))[0], problem);
});

test('checkLog() of a step whose loss or time is not finite', async () => {
  const step = trainStep(1, { loss: Number.NaN, step_ms: Number.POSITIVE_INFINITY });
  assert.deepEqual(await problemsOf(logText([RUN_START, step])), []);
});

test('checkLog() only notes blank lines, time that runs backwards, and what a newer version added', async () => {
  const newer = { ...RUN_START, versions: { ...RUN_START.versions, alexnet_split: '99.0.0' } };
  const [first, second] = logText([newer, { ...trainStep(1), energy: 1 } as LogEvent]).split('\n') as [string, string];
  const back = second.replace(/"time":\d+/, '"time":5');
  const { problems, notes, lines, events } = await checkLog(
    fileOf(`${first}\n\n${back}\n{"time":6,"event":"lunch"}\n`),
  );
  assert.deepEqual([problems, lines, events], [[], 4, 3]);
  assert.deepEqual(
    notes.map(({ line, message }) => `${line}: ${message}`),
    [
      '2: it is blank',
      '3: time: it is before that of the line above',
      '3: train_step.energy: this field is not known; version 99.0.0 wrote the log, and this is 0.1.0',
      '4: lunch: this event is not known; version 99.0.0 wrote the log, and this is 0.1.0',
    ],
  );
});

test('checkLog() counts all problems and keeps the first 100', async () => {
  const { problems, problemCount } = await checkLog(fileOf('junk\n'.repeat(250)));
  assert.deepEqual([problems.length, problemCount, problems[99]!.line], [100, 250, 100]);
});

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { SplitError } from '../../src/errors.js';
import type { EventOf, LogEvent } from '../../src/log.js';
import { analyseLog, LogAnalysis } from '../../src/report/analyse.js';
import type { Curve } from '../../src/report/model.js';
import {
  ALL_EVENTS,
  CHECKPOINT,
  EVAL,
  EXCHANGE,
  RESUME,
  RUN_END,
  RUN_START,
  TRACE,
  trainStep,
  WARNING,
} from '../events.js';
import { logFiles, logText, recorded, temporaryFolder } from './logs.js';

const fileOf = logFiles();
const analyse = (content: string | Uint8Array | readonly LogEvent[]) => analyseLog(fileOf(content));

/** The steps as a run logs them, from one to another. The loss tells the number of the process. */
function steps(from: number, to: number, loss = 1): EventOf<'train_step'>[] {
  return Array.from({ length: to - from + 1 }, (_, i) => trainStep(from + i, { loss }));
}

const resume = (step: number): LogEvent => ({ ...RESUME, step });

/** `3:0.5` for a point at step 3 with the mean 0.5. */
const points = ({ step, mean }: Curve) => step.map((each, i) => `${each}:${mean[i]}`).join(' ');

test('analyseLog() says what a whole log says', async () => {
  const start = { ...RUN_START, steps: 4 };
  const events = [start, ...ALL_EVENTS.filter(({ event }) => !['run_start', 'resume', 'servers_back'].includes(event))];
  const report = await analyse([...events.slice(0, -1), trainStep(4, { step_ms: 40, compute_ms: 30 }), RUN_END]);
  assert.equal(report.run, 'r');
  assert.deepEqual([report.status, report.steps, report.images], ['done', 3, 12]);
  assert.deepEqual(report.start, start);
  assert.deepEqual(report.evals, [{ step: 3, epoch: 1, images: 1000, loss: 0.5, top1: 0.82, top5: 0.99 }]);
  assert.deepEqual(report.exchange, [{ site: 'conv3', forward: 200, backward: 100 }]);
  assert.deepEqual(report.memory, [{ step: 0, resident: 500_000_000, towers: [4000, 3000] }]);
  assert.equal(report.activations.first, report.activations.last);
  assert.deepEqual(report.warnings, [
    { step: null, message: 'mind the gap' },
    { step: 3, kind: 'dead-units', message: 'most units are dead' },
  ]);
  assert.deepEqual(
    report.traces.map(({ step }) => step),
    [2],
  );
  assert.ok(report.started !== null && report.ended !== null && report.started <= report.ended);
  assert.deepEqual([report.log.lines, report.log.problems, report.log.repeatedSteps], [events.length + 1, 0, 0]);
  // Step 1 is the first of its process, so the time is that of step 4 alone.
  const { time } = report;
  assert.ok(time);
  assert.deepEqual([time.steps, time.mean, time.imagesPerSecond], [1, 40, 100]);
  assert.deepEqual(time.parts, { data: 1, compute: 30, exchange: 3, wait: 4, other: 2 });
  assert.deepEqual(time.towers[1], { tower: 1, device: 'CPU:1', step: 16, compute: 9, exchange: 3, wait: 4 });
});

test('analyseLog() of a log that is empty, or has no event', async () => {
  const empty = await analyse('');
  assert.deepEqual([empty.status, empty.started, empty.steps, empty.log.lines], ['empty', null, 0, 0]);
  const blank = await analyse('\n\r\n\n');
  assert.deepEqual([blank.status, blank.log.lines, blank.log.problems], ['empty', 3, 0]);
  const junk = await analyse(Uint8Array.from({ length: 5000 }, (_, i) => (i * 37) % 256));
  assert.equal(junk.status, 'empty');
  assert.ok(junk.log.problems > 0 && junk.log.firstProblems[0]!.line === 1);
  await assert.rejects(analyseLog('/no/such/log.ndjson'), SplitError);
});

test('analyseLog() of any cut of a real log is a report of what is there', async () => {
  for (const name of ['resumed', 'single'] as const) {
    const bytes = fs.readFileSync(recorded(name));
    const whole = await analyseLog(recorded(name));
    assert.equal(whole.status, 'done');
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length), async (length) => {
        const part = bytes.subarray(0, length);
        const report = await analyse(part);
        const lines = part.toString().split('\n');
        const isCut = lines.at(-1) !== '' && length < bytes.length - 1;
        assert.equal(report.log.problems, Number(isCut && !isWhole(lines.at(-1)!)));
        assert.equal(report.log.lines, lines.filter((line) => line !== '').length);
        const known = lines.filter(isWhole).map((line) => JSON.parse(line) as LogEvent);
        const done = known.findLast(({ event }) => event === 'train_step' || event === 'resume');
        assert.equal(report.steps, (done as { step?: number } | undefined)?.step ?? 0);
        assert.ok(report.loss.step.every((step, i, all) => i === 0 || step > all[i - 1]!));
      }),
      { numRuns: 60 },
    );
  }
});

function isWhole(line: string): boolean {
  try {
    return typeof JSON.parse(line) === 'object';
  } catch {
    return false;
  }
}

test('analyseLog() of a run that was killed and resumed counts each step once, with its later line', async () => {
  const report = await analyseLog(recorded('resumed'));
  const lines = fs.readFileSync(recorded('resumed'), 'utf8').trim().split('\n');
  const events = lines.map((line) => JSON.parse(line) as LogEvent).filter(({ event }) => event === 'train_step');
  const last = new Map(events.map((event) => [(event as EventOf<'train_step'>).step, event as EventOf<'train_step'>]));
  assert.equal(report.log.repeatedSteps, events.length - last.size);
  assert.ok(report.log.repeatedSteps > 0);
  assert.deepEqual(report.loss.step, [...last.keys()]);
  assert.deepEqual(
    report.loss.mean,
    [...last.values()].map(({ loss }) => loss),
  );
  assert.deepEqual([report.steps, report.images], [40, 40 * 64]);
});

test('analyseLog() leaves out what came after the checkpoint of a resume, also if no step follows', async () => {
  const before = [RUN_START, ...steps(1, 6), { ...EVAL, step: 4, top1: 0.1 }, { ...EVAL, step: 6 }, WARNING];
  const checkpoint = { ...CHECKPOINT, step: 5 };
  const killedAgain = await analyse([...before, checkpoint, RUN_START, resume(5)]);
  assert.deepEqual([killedAgain.steps, killedAgain.log.repeatedSteps], [5, 1]);
  assert.deepEqual(
    killedAgain.evals.map(({ step }) => step),
    [4],
  );
  assert.deepEqual(
    killedAgain.checkpoints.map(({ step }) => step),
    [5],
  );
  assert.equal(killedAgain.warnings.length, 1, 'a warning without a step stays');
  const silent = await analyse([...before, RUN_START, ...steps(3, 4, 2)]); // as a log without `resume`
  assert.equal(points(silent.loss), '1:1 2:1 3:2 4:2');
  assert.deepEqual(silent.evals, []);
  const again = await analyse([...before, RUN_END, RUN_START, ...steps(1, 2, 3)]); // from the start
  assert.equal(points(again.loss), '1:3 2:3');
  assert.deepEqual([again.status, again.steps, again.images, again.log.repeatedSteps], ['unfinished', 2, 8, 6]);
});

test('analyseLog() never counts a step twice, whatever is repeated', async () => {
  const process = fc.record({ back: fc.nat(8), length: fc.nat(6), isTold: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(process, { minLength: 1, maxLength: 8 }), async (processes) => {
      const events: LogEvent[] = [];
      let kept: EventOf<'train_step'>[] = [];
      let logged = 0;
      for (const [i, { back, length, isTold }] of processes.entries()) {
        const from = Math.max(0, kept.length - back);
        const own = steps(from + 1, from + length, i);
        events.push(RUN_START, ...(isTold ? [resume(from)] : []), ...own);
        logged += own.length;
        if (isTold || length > 0) kept = [...kept.slice(0, from), ...own];
      }
      const report = await analyse(events);
      assert.equal(points(report.loss), kept.map(({ step, loss }) => `${step}:${loss}`).join(' '));
      assert.equal(report.images, 4 * kept.length);
      assert.equal(report.log.repeatedSteps, logged - kept.length);
    }),
    { numRuns: 150 },
  );
});

test('LogAnalysis says after each part of a growing log what it would say of that part alone', async () => {
  const text = logText([RUN_START, ...steps(1, 4), RUN_START, resume(2), ...steps(3, 5, 2), EVAL, RUN_END]);
  const folder = temporaryFolder();
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(text.length), { maxLength: 6 }), async (cuts) => {
      const file = join(folder, 'log.ndjson');
      fs.writeFileSync(file, '');
      const analysis = new LogAnalysis(file);
      for (const cut of [...cuts.sort((a, b) => a - b), text.length]) {
        fs.writeFileSync(file, text.slice(0, cut));
        await analysis.update();
        const part = join(folder, 'part.ndjson');
        fs.writeFileSync(part, text.slice(0, text.lastIndexOf('\n', cut - 1) + 1));
        // While the log grows, the last step may still turn out to be traced.
        const [{ time: _now, ...now }, { time: _then, ...then }] = [analysis.report(), await analyseLog(part)];
        assert.deepEqual(now, then);
      }
      assert.deepEqual(analysis.report(), await analyseLog(file));
    }),
    { numRuns: 30 },
  );
});

test('LogAnalysis counts no traced step, also if it reads the log between the step and its trace', async () => {
  const [start, trace] = [[RUN_START, ...steps(1, 2), trainStep(3, { step_ms: 900 })], { ...TRACE, step: 3 }];
  const file = fileOf(start);
  const analysis = new LogAnalysis(file);
  await analysis.update();
  assert.equal(analysis.report().time?.mean, 20);
  fs.writeFileSync(file, logText([...start, trace, trainStep(4)]));
  await analysis.update();
  assert.equal(analysis.report().time?.steps, 1, 'the fourth step may be traced');
  await analysis.update({ isEnded: true });
  assert.deepEqual([analysis.report().time?.steps, analysis.report().time?.mean], [2, 20]);
});

test('LogAnalysis begins again when another log has the name', async () => {
  const file = fileOf([RUN_START, ...steps(1, 9)]);
  const analysis = new LogAnalysis(file);
  await analysis.update();
  fs.writeFileSync(file, logText([RUN_START, ...steps(1, 2)]));
  await analysis.update();
  assert.deepEqual([analysis.report().steps, analysis.report().log.lines], [2, 3]);
});

test('analyseLog() counts what a newer version added, and leaves it out', async () => {
  const newer = { ...RUN_START, versions: { ...RUN_START.versions, alexnet_split: '99.10.0' } };
  const text = logText([newer, { ...trainStep(1), energy: 3 } as LogEvent]);
  const report = await analyse(`${text}{"time":1,"event":"lunch","step":1}\n`);
  const { newerVersion, unknownEvents, unknownFields, problems } = report.log;
  assert.deepEqual([newerVersion, unknownEvents, unknownFields, problems, report.steps], ['99.10.0', 1, 1, 0, 1]);
  assert.equal((await analyse([RUN_START])).log.newerVersion, undefined);
});

test('analyseLog() counts times since the last change of placement, devices or batch size', async () => {
  const single = { ...RUN_START, placement: 'single' as const, towers: RUN_START.towers.slice(0, 1) };
  const slow = [5, 6, 7].map((step) => trainStep(step, { step_ms: 200 }));
  const changed = await analyse([RUN_START, ...steps(1, 4), EXCHANGE, single, resume(4), ...slow]);
  assert.deepEqual([changed.time?.steps, changed.time?.mean, changed.exchange.length], [2, 200, 0]);
  const same = await analyse([RUN_START, ...steps(1, 4), { ...EXCHANGE, step: 4 }, RUN_START, resume(4), ...slow]);
  assert.deepEqual([same.time?.steps, same.time?.mean, same.exchange.length], [5, (3 * 20 + 2 * 200) / 5, 1]);
});

test('analyseLog() leaves the first step of each process and traced steps out of the times', async () => {
  const slow = { step_ms: 900 };
  const traced = [trainStep(3, slow), { ...TRACE, step: 3 }, trainStep(4)];
  const { time, loss, traces } = await analyse([RUN_START, trainStep(1, slow), trainStep(2), ...traced]);
  assert.deepEqual([time?.steps, time?.mean, loss.step.length, traces.length], [2, 20, 4, 1]);
  const warned = [trainStep(3, slow), WARNING, EXCHANGE, { ...TRACE, step: 3 }];
  assert.equal((await analyse([RUN_START, ...steps(1, 2), ...warned])).time?.mean, 20, 'a warning may come before');
  const resumed = await analyse([RUN_START, ...steps(1, 3), RUN_START, resume(3), trainStep(4, slow), trainStep(5)]);
  assert.deepEqual([resumed.time?.steps, resumed.time?.mean], [3, 20]);
});

test('analyseLog() of a failed run has its error, and a NaN is no number of a curve', async () => {
  const end = { ...RUN_END, status: 'failed' as const, error: 'the loss is NaN' };
  const report = await analyse([RUN_START, trainStep(1), trainStep(2, { loss: Number.NaN }), end]);
  assert.deepEqual([report.status, report.error], ['failed', 'the loss is NaN']);
  assert.equal(points(report.loss), '1:2.3 2:null');
  assert.deepEqual([report.loss.low[1], report.loss.high[1]], [null, null]);
});

test('a report is bounded, its means are exact, and its quantiles are close', async () => {
  const times = Array.from({ length: 4500 }, (_, i) => 20 + 10 * Math.sin(i) + (i % 97 === 0 ? 300 : 0));
  const many = times.map((step_ms, i) => trainStep(i + 1, { step_ms, loss: i }));
  const warnings = Array.from({ length: 300 }, (): LogEvent => WARNING);
  const checkpoints = Array.from({ length: 300 }, (_, i): LogEvent => ({ ...CHECKPOINT, step: i + 1 }));
  const evals = Array.from({ length: 2500 }, (_, i): LogEvent => ({ ...EVAL, step: i + 1 }));
  const report = await analyse([RUN_START, ...many, ...warnings, ...checkpoints, ...evals]);
  const { loss, time } = report;
  assert.ok(loss.step.length <= 1000 && loss.step.length >= 500, String(loss.step.length));
  assert.equal(loss.step.at(-1), 4500);
  const width = loss.step[0]!;
  assert.deepEqual(
    loss.mean.slice(0, -1),
    loss.step.slice(0, -1).map((step) => step - (width + 1) / 2),
  );
  assert.deepEqual([loss.low[3], loss.high[3]], [3 * width, 4 * width - 1]);
  assert.deepEqual([report.warnings.length, report.furtherWarnings], [200, 100]);
  assert.deepEqual([report.checkpoints.length, report.checkpoints.at(-1)!.step], [200, 300]);
  assert.ok(report.evals.length <= 1001 && report.evals.at(-1)!.step === 2500 && report.evals[0]!.step === 1);
  const counted = times.slice(1).sort((a, b) => a - b);
  const mean = counted.reduce((sum, each) => sum + each, 0) / counted.length;
  assert.ok(time && Math.abs(time.mean - mean) < 1e-9 * mean);
  for (const [found, share] of [
    [time.median, 0.5],
    [time.p95, 0.95],
  ] as const) {
    const exact = counted[Math.floor(share * (counted.length - 1))]!;
    assert.ok(Math.abs(found - exact) <= 0.0051 * exact, `${found} ${exact}`);
  }
});

test('a report is small, whatever the texts in the log are', async () => {
  const long = Array.from({ length: 300 }, (): LogEvent => ({ ...WARNING, message: 'x'.repeat(100_000) }));
  const report = await analyse([RUN_START, ...long]);
  assert.equal(report.warnings.length, 200);
  assert.ok(JSON.stringify(report).length < 300_000, String(JSON.stringify(report).length));
});

test('a clock that is set back makes no negative time', async () => {
  const lines = [3000, 9000, 5000].map((time) => JSON.stringify({ time, event: 'lunch' }));
  const { started, ended } = await analyse(`${lines.join('\n')}\n`);
  assert.deepEqual([started, ended], [3000, 9000]);
});

test('checkpoints that were removed since are told from those that are there', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'log.ndjson');
  fs.writeFileSync(file, logText([RUN_START, CHECKPOINT, { ...CHECKPOINT, step: 4, folder: 'elsewhere/0000000004' }]));
  fs.mkdirSync(join(folder, 'checkpoints', '0000000004'), { recursive: true });
  assert.deepEqual(
    (await analyseLog(file)).checkpoints.map(({ step, folder: own, exists }) => [step, own, exists]),
    [
      [3, join(folder, 'checkpoints', '0000000003'), false],
      [4, join(folder, 'checkpoints', '0000000004'), true],
    ],
  );
});

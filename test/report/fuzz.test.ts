/** Logs from elsewhere: whatever their lines hold, a report says what can be known. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { analyseLog } from '../../src/report/analyse.js';
import { checkLog } from '../../src/report/check.js';
import { csvOf } from '../../src/report/csv.js';
import { reportPage } from '../../src/report/html.js';
import { markdownLines } from '../../src/report/markdown.js';
import { eventsIn } from '../../src/report/read-log.js';
import { makeReport } from '../../src/report/report.js';
import { withKernels } from '../../src/report/run-kernels.js';
import { tensorboardEncoder } from '../../src/report/tensorboard.js';
import { ALL_EVENTS } from '../events.js';
import { casesOf, jsonLike } from '../fuzz.js';
import { logText, temporaryFolder } from './logs.js';

const folder = temporaryFolder();
const LINES = logText(ALL_EVENTS).trimEnd().split('\n');

/** A line with another number in one place. */
const numbers = fc.constantFrom(
  '1e300',
  '-1e300',
  '1e-300',
  '-1',
  '0',
  '0.5',
  '9007199254740993',
  '"NaN"',
  '"-Infinity"',
);
const renumbered = fc.tuple(fc.constantFrom(...LINES), fc.nat(), numbers).map(([text, place, number]) => {
  const found = [...text.matchAll(/(?<=[:[,])-?\d[\d.e+-]*(?=[,}\]])/g)];
  const { index, 0: old } = found[place % found.length]!;
  return text.slice(0, index) + number + text.slice(index + old.length);
});

/** A line of a log, a line with something else in it, or bytes. */
const line = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...LINES).map((text) => Buffer.from(text)) },
  {
    weight: 3,
    arbitrary: fc.oneof(...LINES.map((text) => jsonLike(JSON.parse(text), 2))).map((text) => Buffer.from(text)),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)) },
  { weight: 3, arbitrary: renumbered.map((text) => Buffer.from(text)) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(...LINES)
      .chain((text) => fc.nat(text.length).map((cut) => Buffer.from(text.slice(0, cut)))),
  },
);

test('every format of any log', async () => {
  const [file, other] = [join(folder, 'log.ndjson'), join(folder, 'other.ndjson')];
  fs.writeFileSync(other, logText(ALL_EVENTS));
  const second = await analyseLog(other);
  let [events, problems] = [0, 0];
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 20 }), async (lines) => {
      fs.writeFileSync(file, Buffer.concat(lines.flatMap((each) => [each, Buffer.from('\n')])));
      const run = await withKernels(await analyseLog(file, folder));
      const check = await checkLog(file);
      events += check.events;
      problems += check.problemCount;
      assert.ok(run.log.problems <= check.problemCount);
      assert.equal(run.log.lines, check.lines);
      for (const runs of [[run], [run, second], [second, run, second]]) {
        const report = makeReport(runs);
        assert.ok(JSON.parse(JSON.stringify(report)));
        assert.ok(markdownLines(report).every((each) => !each.includes('\n') && !each.includes('\u001b')));
        assert.match(reportPage(report), /<\/html>\n$/);
      }
      const encode = tensorboardEncoder();
      for await (const event of eventsIn(file)) encode(event, 1);
      let rows = -1;
      for await (const text of csvOf([{ run: 'r', file }])) rows += text.split('\r\n').length - 1;
      assert.ok(rows >= 0 && rows <= check.events);
    }),
    { numRuns: casesOf(150) },
  );
  assert.ok(events > 0 && problems > 0, `${events} events, ${problems} problems`);
});

/** The training steps of logs as CSV (RFC 4180). */
import { EVENTS, type EventOf } from '../log.js';
import { stepsIn } from '../step-lines.js';
import { LOG_START, linesOf, parseLine } from './read-log.js';
import { Rewinds } from './rewinds.js';
import { MAX_TOWERS } from './step-time.js';

const STEP_FIELDS = Object.keys(EVENTS.train_step.shape).filter(
  (name) => name !== 'towers' && name !== 'worst',
) as StepField[];
const WORST_FIELDS = Object.keys(EVENTS.train_step.shape.worst.unwrap().shape) as (keyof NonNullable<Step['worst']>)[];
const TOWER_FIELDS = Object.keys(EVENTS.train_step.shape.towers.element.shape).filter(
  (name) => name !== 'tower',
) as TowerField[];

type Step = EventOf<'train_step'>;
type StepField = Exclude<keyof Step, 'event' | 'towers' | 'worst'>;
type TowerField = Exclude<keyof Step['towers'][number], 'tower'>;

/** A log, and the name of its run. */
export interface NamedLog {
  run: string;
  file: string;
}

/**
 * Yields the lines of the CSV file, with their ends, some at a time: a header, and each training step that counts. The
 * memory does not grow with the logs. @throws SplitError if a log cannot be read.
 */
export async function* csvOf(logs: readonly NamedLog[]): AsyncGenerator<string> {
  const surveys = [];
  for (const { file } of logs) surveys.push(await survey(file));
  const towers = Math.max(0, ...surveys.map((each) => each.towers));
  const columns = Array.from({ length: towers }, (_, tower) => TOWER_FIELDS.map((name) => `tower${tower}_${name}`));
  const worst = WORST_FIELDS.map((name) => `worst_${name}`);
  yield `${['run', 'time', ...STEP_FIELDS, ...worst, ...columns.flat()].join(',')}\r\n`;
  for (const [i, { run, file }] of logs.entries()) {
    const { rewinds, end } = surveys[i]!;
    const counts = rewinds.filter();
    const name = textCell(run);
    for await (const lines of linesOf(file, { ...LOG_START }, end)) {
      let rows = '';
      for (const line of lines) {
        const parsed = parseLine(line);
        if (parsed.kind !== 'event' || parsed.event.event !== 'train_step') continue;
        if (!counts(parsed.event, line.number)) continue;
        rows += `${[name, parsed.time, ...cellsOf(parsed.event, towers)].join(',')}\r\n`;
      }
      yield rows;
    }
  }
}

/** Finds the resumes, and the number of towers. */
async function survey(file: string): Promise<{ rewinds: Rewinds; towers: number; end: number }> {
  const rewinds = new Rewinds();
  let [towers, end] = [0, 0];
  for await (const lines of linesOf(file, { ...LOG_START })) {
    for (const line of lines) {
      end = line.end;
      const parsed = parseLine(line);
      if (parsed.kind !== 'event') continue;
      rewinds.see(parsed.event, line.number);
      if (parsed.event.event === 'train_step') towers = Math.max(towers, parsed.event.towers.length);
    }
  }
  return { rewinds, towers: Math.min(towers, MAX_TOWERS), end };
}

function cellsOf(event: Step, towers: number): (number | string)[] {
  const own = Array.from({ length: towers }, (_, i) => {
    const tower = event.towers.find((each) => each.tower === i);
    return TOWER_FIELDS.map((name) => tower?.[name] ?? '');
  });
  const line = { ...event, steps: stepsIn(event) };
  const worst = WORST_FIELDS.map((name) => event.worst?.[name] ?? '');
  return [...STEP_FIELDS.map((name) => line[name] ?? ''), ...worst, ...own.flat()];
}

/** A text that a spreadsheet does not take for a formula. */
function textCell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** What checkpoints cost a training. */
import { median } from '../../src/numbers.js';
import type { eventsIn } from '../trainer.js';
import type { Maker } from './tools/figure.js';
import { machineOf, markdownTable } from './tools/markdown.js';
import { of } from './tools/runner.js';

const COMMON = 'npm run train:split -- --preset mini --data embedded --steps 120 --no-check --checkpoint-every';
const EVERY: Record<string, string> = { none: '0', 'every ten steps': '10', 'after each step': '1' };

interface Result {
  bytes: number;
  /** Medians over the checkpoints that are made after each step. */
  stoppedMs: number;
  writtenMs: number;
  /** From a step to the next one, with what is between them; the mean. */
  rows: { how: string; msPerStep: number }[];
}

export const checkpoints: Maker<Result> = {
  name: 'checkpoints',
  minutes: 0.6,
  commands: Object.values(EVERY).map((every) => `${COMMON} ${every}`),
  async measure({ train }) {
    const runs = [];
    for (const [how, every] of Object.entries(EVERY)) {
      runs.push({ how, events: await train(`${COMMON} ${every}`, `every-${every}`) });
    }
    const made = of(runs.at(-1)!.events, 'checkpoint');
    return {
      bytes: made[0]!.bytes,
      stoppedMs: median(made.map(({ copy_ms }) => copy_ms)),
      writtenMs: median(made.map(({ write_ms }) => write_ms)),
      rows: runs.map(({ how, events }) => ({ how, msPerStep: msPerStep(events as ReturnType<typeof eventsIn>) })),
    };
  },
  blocks: {
    checkpoints({ bytes, stoppedMs, writtenMs, rows }, origin) {
      const cells = rows.map(({ how, msPerStep }) => [how, msPerStep.toFixed(1)]);
      return [
        `**Cost.** A checkpoint of \`mini\` has ${(bytes / 1e6).toFixed(1)} MB. The towers stand still for ${stoppedMs.toFixed(1)} ms, and the files are on the disk after ${writtenMs.toFixed(0)} ms (medians; ${machineOf(origin)}).`,
        '',
        markdownTable(['checkpoints', 'from a step to the next, ms'], cells),
      ].join('\n');
    },
  },
};

/** Without the first step, which compiles. */
function msPerStep(events: ReturnType<typeof eventsIn>): number {
  const lines = events.flatMap((each) => (each.event === 'train_step' ? [{ step: each.step, time: each.time }] : []));
  const [first, last] = [lines[0]!, lines.at(-1)!];
  return (last.time - first.time) / (last.step - first.step);
}

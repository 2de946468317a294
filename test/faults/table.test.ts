/** Each fault in each phase: how the run ends, its message, the checkpoint that is left. Prints the table. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { collect } from '../../scripts/trainer.js';
import { checkpointsFolder, newestCheckpoint } from '../../src/checkpoint/store.js';
import { lenetFlags } from '../data/sets.js';
import { DEVICES, ON_GPU } from '../equivalence/teams.js';
import { childWithFault } from './fault.js';
import type { Case, Result } from './several.js';

const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url));
const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-faults-'));
const rows: string[] = [];
after(() => {
  fs.rmSync(folder, { recursive: true, force: true });
  console.log(
    ['| fault | placement | exit code | seconds | message |', '|---|---|---|---|---|', ...rows.sort()].join('\n'),
  );
});

/** The exchange's deadline; a command's is five times that. */
const TIMEOUT_MS = 3_000;
fs.writeFileSync(join(folder, 'f.json'), JSON.stringify({ exchangeTimeoutMs: TIMEOUT_MS }));

const LENET = lenetFlags(folder);
const RUN = [
  '--devices',
  DEVICES.join(','),
  '--steps',
  '4',
  '--eval-every',
  '2',
  '--checkpoint-every',
  '1',
  '--keep',
  '5',
  '--config',
  'f.json',
];

interface Ended extends Pick<Result, 'stderr' | 'seconds' | 'threads'> {
  code: number | null;
  signal: NodeJS.Signals | null;
}

const commandLine = (run: string, args: readonly string[]) => ['train', ...LENET, ...RUN, '--run', run, ...args];

/** Trains in a process group of its own, with an idle standard input. */
async function train(run: string, args: readonly string[], fault: string): Promise<Ended> {
  const started = performance.now();
  const { args: node, env } = childWithFault(fault);
  const child = spawn(process.execPath, [...node, CLI, ...commandLine(run, args)], {
    ...{ cwd: folder, env },
    detached: true,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  const { code, signal, stderr } = await collect(child).ended;
  assertNoProcess(child.pid!);
  return { code, signal, stderr, seconds: (performance.now() - started) / 1000 };
}

/** Asserts that no process of a group is left. */
function assertNoProcess(group: number): void {
  assert.throws(() => process.kill(-group, 0), /ESRCH/, 'a process is left');
}

/** Trains with one fault after another in one process. @returns how each ended, by its name. */
async function trainSeveral(cases: readonly Case[]): Promise<Map<string, Ended>> {
  const program = fileURLToPath(new URL('several.js', import.meta.url));
  const child = spawn(process.execPath, [program, JSON.stringify(cases)], {
    ...{ cwd: folder, detached: true, stdio: ['ignore', 'pipe', 'inherit'] },
  });
  const { code, stdout } = await collect(child).ended;
  assert.equal(code, 0);
  assertNoProcess(child.pid!);
  const results = stdout.trimEnd().split('\n');
  return new Map(
    results.map((line) => {
      const { name, ...ended } = JSON.parse(line) as Result;
      return [name, { ...ended, signal: null }];
    }),
  );
}

/** Asserts that a run ends all threads that it starts. @param plain an earlier run of the process, which went well. */
function assertNoThread({ threads }: Ended, plain: Ended): void {
  assert.equal(plain.code, 0, plain.stderr);
  if (!threads || ON_GPU) return; // `faults/threads` counts them on GPUs
  assert.ok(plain.threads!.most >= plain.threads!.left + 3, 'the threads of a run are counted');
  assert.equal(threads.left, plain.threads!.left, `of ${threads.most} threads more than before are left`);
}

interface Expected {
  /** Its error, without `error: `; absent where the run goes well. */
  message?: RegExp;
  /** Step of the newest checkpoint that is left; none without it. */
  left?: number;
  args?: readonly string[];
}

const SINGLE = ['--placement', 'single', '--devices', DEVICES[0], '--no-check'];
const TOWER_0 = `tower 0 on ${DEVICES[0]}`;
const TOWER_1 = `tower 1 on ${DEVICES[1]}`;
const NEXT = '.*--resume';
const deadline = (direction: string, place: string) =>
  new RegExp(
    `^Cannot exchange at ${place} \\(${direction}\\) in tower 0: tower 1 did not respond for 3 s; a larger exchangeTimeoutMs`,
  );

/** In step 3, after two checkpoints, unless it says otherwise. */
const CASES: Record<string, Expected> = {
  'throw@open:0': { message: /^a fault that was requested \(this is a bug/ },
  'throw@forward:1': { message: new RegExp(`^Cannot continue: ${TOWER_1} failed in step 1 \\(a fault.*\\)`) },
  'throw@forward:3': {
    message: new RegExp(`^Cannot continue: ${TOWER_1} failed in step 3 \\(a fault.*\\)${NEXT}`),
    left: 2,
  },
  'throw@backward:3': { message: new RegExp(`^Cannot continue: ${TOWER_1} failed in step 3 ${NEXT}`), left: 2 },
  'throw@update:3': { message: new RegExp(`^Cannot continue: ${TOWER_1} failed in step 3 ${NEXT}`), left: 2 },
  'throw@evaluate:2': {
    message: new RegExp(`^Cannot continue: ${TOWER_1} failed in the evaluation after step 2 ${NEXT}`),
    left: 1,
  },
  'throw@checkpoint:3': {
    message: new RegExp(`^Cannot continue: ${TOWER_1} failed in the command snapshot ${NEXT}`),
    left: 2,
  },
  'exit@open:0': {
    message: new RegExp(`^Cannot continue: the thread of ${TOWER_1} ended \\(.*code: 7\\) in the command open`),
  },
  'exit@forward:1': {
    message: new RegExp(`^Cannot continue: the thread of ${TOWER_1} ended \\(.*code: 7\\) in step 1,`),
  },
  'exit@forward:3': {
    message: new RegExp(`^Cannot continue: the thread of ${TOWER_1} ended \\(.*code: 7\\) in step 3, ${NEXT}`),
    left: 2,
  },
  'exit@backward:3': {
    message: new RegExp(`^Cannot continue: the thread of ${TOWER_1} ended .* in step 3, ${NEXT}`),
    left: 2,
  },
  'exit@evaluate:2': {
    message: new RegExp(`^Cannot continue: the thread of ${TOWER_1} ended .* in the evaluation after step 2, ${NEXT}`),
    left: 1,
  },
  'exit@checkpoint:3': { message: new RegExp(`^Cannot continue: the thread of ${TOWER_1} ended ${NEXT}`), left: 2 },
  'hang@forward:1': { message: deadline('forward, step 1', 'conv2') },
  'hang@forward:3': { message: deadline('forward, step 3', 'conv2'), left: 2 },
  'hang@backward:3': { message: deadline('backward, step 3', String.raw`\S+`), left: 2 },
  'hang@evaluate:2': { message: deadline('forward, step 2', 'conv2'), left: 1 },
  'hang@checkpoint:3': {
    message: new RegExp(`^Cannot continue: ${TOWER_1} has not answered for 15 s in the command snapshot${NEXT}`),
    left: 2,
  },
  'stuck@forward:3': { message: deadline('forward, step 3', 'conv2'), left: 2 },
  'slow@forward:3': { left: 4 },
  'memory@open:0': {
    message: new RegExp(
      `^Cannot continue: ${TOWER_1} ran out of memory in the command open \\(OOM .*smaller --batch-size or --width$`,
    ),
  },
  'memory@forward:3': {
    message: new RegExp(
      `^Cannot continue: ${TOWER_1} ran out of memory in step 3 \\(OOM .*${NEXT}, .*smaller --batch-size`,
    ),
    left: 2,
  },
  'memory@evaluate:2': {
    message: new RegExp(
      `^Cannot continue: ${TOWER_1} ran out of memory in the evaluation after step 2 \\(OOM .*${NEXT}`,
    ),
    left: 1,
  },
  'memory@checkpoint:3': {
    message: new RegExp(`^Cannot continue: ${TOWER_1} ran out of memory in the command snapshot \\(OOM .*${NEXT}`),
    left: 2,
  },
  'memory@forward:3 single': {
    message: new RegExp(`^Cannot continue: ${TOWER_0} ran out of memory in step 3 \\(OOM `),
    left: 2,
    args: SINGLE,
  },
  'heap@forward:3': {
    message: new RegExp(
      `^Cannot continue: the thread of ${TOWER_1} ended \\(.*memory limit: JS heap out of memory\\) in step 3, ${NEXT}.*--max-old-space-size`,
    ),
    left: 2,
  },
  'heap@checkpoint:3': {
    message: new RegExp(
      `^Cannot continue: the thread of ${TOWER_1} ended \\(.*JS heap.*\\) in the command snapshot, ${NEXT}`,
    ),
    left: 2,
  },
  'nan@conv2:3': {
    message:
      /^Cannot continue: the loss of step 3 is NaN at learning rate 0\.05, first in the weights tower0\/conv2\/kernel.*; its batch has the training images \d+, \d+, \d+ and 13 more/,
    left: 2,
  },
  'late@conv2:3': { message: deadline('forward, step 3', 'conv2'), left: 2 },
  'lost@conv2:3': {
    message: /^Cannot continue at conv2: tower 0 expected message \d+ .* and got message \d+ \(forward at fc3/,
    left: 2,
  },
  'repeated@conv2:3': {
    message:
      /^Cannot continue at conv2: tower 0 expected message \d+ \(forward at conv2, step 3, .* and got message \d+ \(/,
    left: 2,
  },
  'reordered@conv2:3': {
    message: /^Cannot continue at conv2: tower 0 expected message (\d+) \(.* and got message (?!\1 )/,
    left: 2,
  },
  'reshaped@conv2:3': {
    message: /^Cannot continue at conv2: tower 0 expected .*\[16,14,14,3\].* and got .*\[3,14,14,16\]/,
    left: 2,
  },
  'flipped@conv2:1': {
    message: /^Cannot continue at conv2 \(forward, step 1\) in tower 0: the values are not those that tower 1 sent/,
  },
  'flipped@conv2:3': {
    message: new RegExp(
      `^Cannot continue at conv2 \\(forward, step 3\\) in tower 0: the values are not those that tower 1 sent${NEXT}`,
    ),
    left: 2,
    args: ['--exchange-checksum'],
  },
  'throw@data:3': { message: /^Cannot fill the training batch of step 3: a data worker failed \(a fault/, left: 2 },
  'exit@data:3': { message: /^Cannot fill the training batch of step 3: a data worker failed \(.*code: 7\)/, left: 2 },
  // It is filled ahead, by the one worker, who then does not fill the evaluation's batch either.
  'hang@data:3': {
    message: new RegExp(`^Cannot continue: test batch 0 has not been filled for 15 s${NEXT}`),
    left: 1,
  },
  'throw@forward:3 single': {
    message: new RegExp(`^Cannot continue: ${TOWER_0} failed in step 3`),
    left: 2,
    args: SINGLE,
  },
  'exit@forward:3 single': {
    message: new RegExp(`^Cannot continue: the thread of ${TOWER_0} ended`),
    left: 2,
    args: SINGLE,
  },
  'hang@forward:3 single': {
    message: new RegExp(`^Cannot continue: ${TOWER_0} has not answered for 15 s in step 3,${NEXT}`),
    left: 2,
    args: SINGLE,
  },
};

/** How tensors cross, by the last words of a case's name. */
const CROSSINGS = {
  ' device': ['--exchange', 'device'],
  ' device off': ['--exchange', 'device', '--compile', 'off'],
} as const;

const isOfTower = (name: string) => /^(?!flipped)[a-z]+@(?!data)[a-z0-9]+:\d$/.test(name);
const isInPass = (name: string) => /^(throw|exit|hang|stuck|late)@(forward:3|backward|evaluate|conv2)/.test(name);
/** By device a tower fails as by msgpack: these have the same message, the same checkpoint and the same deadline. */
const BY_DEVICE: Record<string, Expected> = Object.fromEntries(
  Object.entries(CASES).flatMap(([name, expected]) => {
    const suffixes = (['', ' off'] as const).filter((each) => isOfTower(name) && (each === '' || isInPass(name)));
    return suffixes.map((each) => [`${name} device${each}`, { ...expected, args: CROSSINGS[` device${each}`] }]);
  }),
);
Object.assign(CASES, BY_DEVICE, {
  // It has no values whose bit could flip, so it is one of the message itself.
  'flipped@conv2:3 device': {
    message: /^Cannot read the message for conv2 at step 3 in tower 0: .*memory was damaged$/,
    left: 2,
    args: CROSSINGS[' device'],
  },
});

/** Always run of those that go by device. */
const ALWAYS_BY_DEVICE = ['hang@forward:3 device', 'exit@backward:3 device', 'hang@backward:3 device off'];

/** Tested only with `FAULTS=all`, because each takes seconds. One or two phases of each kind are always tested. */
const REST = [
  ...['throw@open:0', 'throw@forward:1', 'throw@backward:3', 'exit@forward:1', 'exit@backward:3', 'exit@evaluate:2'],
  ...['hang@forward:1', 'hang@evaluate:2', 'late@conv2:3', 'reordered@conv2:3', 'flipped@conv2:1', 'exit@data:3'],
  ...['throw@forward:3 single', 'exit@forward:3 single', 'exit@checkpoint:3'],
  ...Object.keys(CASES).filter((name) => name.includes(' device') && !ALWAYS_BY_DEVICE.includes(name)),
  ...['memory@open:0', 'memory@evaluate:2', 'memory@checkpoint:3', 'memory@forward:3 single', 'heap@checkpoint:3'],
];
for (const name of [...REST, ...ALWAYS_BY_DEVICE]) assert.ok(name in CASES, name);

/** In a process of its own: a thread that nothing can end, and one that waits, for the process has to end with either. */
const isAlone = (name: string) => name.startsWith('stuck@') || name === 'hang@forward:3';
/** Ends with a deadline; all others together take about as long as a few of these. */
const isLong = (name: string) => /^(hang|late)@/.test(name);
const isRun = (name: string) => !REST.includes(name) || process.env.FAULTS === 'all';
const runOf = (name: string) => name.replaceAll(/\W/g, '-');
const faultOf = (name: string) => name.replace(/ device.*/, '');
const argsOf = (name: string) => [
  ...(/:1\b/.test(name) ? [] : ['--no-check']), // step 1 is first of all the check's
  // A thread less, which takes long to load, where it makes no difference.
  ...['--workers', isAlone(name) || name.includes('@data') ? '1' : '0'],
  ...(CASES[name]!.args ?? []),
];

const names = Object.keys(CASES);
const together = names.filter((name) => !isAlone(name) && isRun(name));
/** Start what stays, once for the process: TensorFlow's own pools and the threads of Node.js. */
const FIRST = ['first', 'second'].map((name) => ({
  ...{ name, fault: null, args: commandLine(name, ['--no-check', '--workers', '1']) },
}));
const processes = [together.filter((name) => !isLong(name)), together.filter(isLong)].map((each, i) =>
  trainSeveral([
    ...(i === 0 ? FIRST : []),
    ...each.map((name) => ({ name, fault: faultOf(name), args: commandLine(runOf(name), argsOf(name)) })),
  ]),
);
for (const each of processes) each.catch(() => {}); // each test reports it
const several = (name: string) => processes[isLong(name) ? 1 : 0]!;

describe('train ends', { concurrency: 3 }, () => {
  for (const name of [...names.filter(isAlone), ...names.filter((each) => !isAlone(each))]) {
    const { message, left, args = [] } = CASES[name]!;
    const run = runOf(name);
    const skip = !isRun(name) && 'FAULTS=all npm test -- faults/table runs it too';
    test(`train with ${name} ends as documented`, { timeout: 900_000, skip }, async () => {
      const ended = isAlone(name) ? await train(run, argsOf(name), faultOf(name)) : (await several(name)).get(name);
      assert.ok(ended, 'the process of several runs did not get to it');
      assert.deepEqual([ended.code, ended.signal], [message ? 1 : 0, null], ended.stderr);
      const [, said] = /^error: ([^\n]+)\n$/.exec(ended.stderr) ?? [];
      if (message) assert.match(said ?? `not one line: ${ended.stderr}`, message);
      else assert.equal(ended.stderr, '');
      const { found, skipped } = newestCheckpoint(checkpointsFolder(join(folder, 'runs', run)));
      assert.deepEqual([found?.state.step, skipped], [left, []]);
      if (!isAlone(name) && !isLong(name)) assertNoThread(ended, (await several(name)).get('second')!);
      if (!name.includes('@open')) {
        const log = fs
          .readFileSync(join(folder, 'runs', run, 'log.ndjson'), 'utf8')
          .trimEnd()
          .split('\n');
        const { event, status, exit_code: code } = JSON.parse(log.at(-1)!) as Record<string, unknown>;
        assert.deepEqual([event, status, code], ['run_end', message ? 'failed' : 'done', ended.code]);
      }
      const crossing = `${args.includes('device') ? ', by device' : ''}${args.includes('off') ? ', op by op' : ''}`;
      const placement = args.includes('single') ? 'single' : `split${crossing}`;
      const fault = name.split(' ')[0]!;
      rows.push(`| \`${fault}\` | ${placement} | ${ended.code} | ${ended.seconds.toFixed(1)} | ${said ?? ''} |`);
    });
  }
});

test('train continues to the end with --resume after a fault', { timeout: 120_000 }, async () => {
  const runs = ['hang-forward-3', 'stuck-forward-3', 'nan-conv2-3', 'hang-forward-3-device'];
  const args = (run: string) => commandLine(run, ['--resume', 'auto', '--no-check', '--workers', '0']);
  const ended = await trainSeveral(runs.map((run) => ({ name: run, fault: null, args: args(run) })));
  for (const run of runs) {
    const { code, stderr } = ended.get(run)!;
    assert.deepEqual([code, stderr], [0, ''], run);
    assert.equal(newestCheckpoint(checkpointsFolder(join(folder, 'runs', run))).found?.state.step, 4);
  }
});

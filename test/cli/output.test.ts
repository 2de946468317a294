/** What the commands print: no command prints what a terminal obeys, and a lost terminal does not stop a command. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { IN_TERMINAL } from '../../scripts/signals-test.js';
import { collect } from '../../scripts/trainer.js';
import { writeTensors } from '../../src/checkpoint/safetensors.js';
import { buildProgram } from '../../src/cli/program.js';
import { type AcceptModule, type Replaced, SERVICES, type TrainModule } from '../../src/cli/services.js';
import type { LogEvent } from '../../src/log.js';
import { newReport } from '../../src/train/accept/report.js';
import { keepRunData } from '../../src/train/run-data.js';
import { TOLERANCES } from '../../src/train/verify.js';
import { folderOf, imageFolderOf } from '../data/sets.js';
import { CHECK, EVAL, RUN_END, RUN_START, trainStep, WARNING } from '../events.js';
import { DEVICES, run, Screen, SPEEDS, trainModule } from './stand-ins.js';
import { lenetRun } from './weights-runs.js';

/** Sets a title, clears the screen with 8-bit and 7-bit codes, reverses the direction of text, and adds lines. */
const NAME = 'n\u001b]0;TITLE\u0007\u009b2J\u202e\r\nFORGED\u2028\u001b[2J\u007f';
// biome-ignore lint/suspicious/noControlCharactersInRegex: these characters must be escaped
const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

const results: TrainModule = {
  train: async (config, { report, note }) => {
    note?.(`note of ${NAME}`);
    const dataset = { ...RUN_START.dataset, name: NAME, source: NAME };
    const towers = RUN_START.towers.map((each) => ({ ...each, backing_device: NAME }));
    const events: LogEvent[] = [
      { ...RUN_START, run: config.run, config, dataset, towers },
      { ...CHECK, tensor: NAME },
      trainStep(1),
      { ...WARNING, message: NAME },
      EVAL,
      { ...RUN_END, status: 'failed', exit_code: 1, error: NAME },
    ];
    events.forEach(report);
    return { exitCode: 1, top1: 0, steps: 1 };
  },
  verify: async (_, __, { print }) => {
    print(NAME);
    const row = { name: NAME, layer: NAME, kind: 'activation', absolute: 0, relative: 0 } as const;
    return { passed: false, tolerances: TOLERANCES, losses: [], rows: [row], firstDivergent: NAME };
  },
  verifyGolden: async () => ({
    passed: false,
    rows: [{ side: 'towers', kind: 'loss', worst: 1, tolerance: 0, name: NAME }],
  }),
  evaluateRun: async (_, __, options) => {
    options?.note?.(NAME);
    return { images: 1, loss: 0, top1: 0, top5: 0 };
  },
  compareSpeeds: async () => SPEEDS,
  predictFiles: async (_, __, files) => [
    { file: files[0]!, classes: [{ name: NAME, label: 0, probability: 1 }] },
    { file: files[0]!, reason: NAME },
  ],
};

const accept: AcceptModule['accept'] = async (options, { report: told, now }) => {
  const report = newReport(options.devices, options.quick, now());
  for (const figure of [NAME, '']) {
    const row = { check: 'copies', status: 'failed', figure, why: NAME, seconds: 0 } as const;
    report.checks.push(row);
    told(report, row);
  }
  return { ...report, status: 'failed' };
};

const services: Replaced = {
  listDevices: async () => [...DEVICES, { ...DEVICES[0]!, name: NAME, fullName: NAME }],
  ensureLibrary: async () => NAME,
  examineLibrary: async () => ({
    library: { framework: NAME, tensorflow: NAME, source: 'cache', flavour: 'gpu', nvidiaFolders: [NAME] },
    nvidia: true,
    hidden: false,
    cuda: [`/${NAME}/${NAME}/lib/${NAME}`],
  }),
  examineGpus: async () => ({
    nvidia: { cards: [{ name: NAME }], complaint: NAME, driver: NAME },
    ...{ hasDriver: true, flavour: 'gpu', driver: { cards: [] }, libraries: [{ name: NAME, error: NAME }], gpus: 0 },
  }),
  loadAccept: async () => ({ accept }),
};

/** A command line for each command, or several, and one that fails. */
async function commandLines(t: TestContext, work: string): Promise<Record<string, string[][]>> {
  const out = join(work, NAME);
  const folder = await lenetRun(out, 'r');
  keepRunData({ out, run: 'r' }, Array(10).fill(NAME), undefined);
  const data = imageFolderOf(t, {
    ...{ [`train/${NAME}/1.jpg`]: 'rgb.jpg', [`train/${NAME}/2.jpg`]: new Uint8Array(3) },
    ...{ [`val/${NAME}/1.jpg`]: 'rgb.jpg', [`train/b/${NAME}.jpg`]: 'rgb.jpg', 'val/b/1.jpg': 'rgb.jpg' },
  });
  const file = join(work, `${NAME}.safetensors`);
  writeTensors(file, [{ name: NAME, shape: [1] }], {}, () => {});
  const at = ['--out', out];
  return {
    train: [
      ['train', ...at, '--run', 'new'],
      ['train', ...at, '--run', 'json', '--json'],
      ['train', ...at, '--run', 'r'],
      ['train', ...at, '--run', NAME],
      ['train', '--config', NAME],
      ['train', '--preset', NAME],
      ['train', `--${NAME}`],
      ['train', '--resume', NAME],
    ],
    ablate: [
      ['ablate', ...at, '--run', 'a', '--variants', 'no-norm'],
      ['ablate', ...at, '--run', 'b', '--variants', NAME],
      ['ablate', ...at, '--run', 'c', '--variants', 'no-norm', '--json'],
    ],
    verify: [['verify'], ['verify', '--json'], ['verify', '--golden', NAME], ['verify', '--steps', NAME]],
    summary: [['summary', '--net', NAME]],
    report: [
      ['report', folder, '--out', join(work, `${NAME}.html`)],
      ['report', folder, '--markdown'],
      ['report', folder, '--json'],
      ['report', folder, '--csv', '--out', join(work, `${NAME}.csv`)],
      ['report', folder, '--check'],
      ['report', NAME],
    ],
    watch: [
      ['watch', folder],
      ['watch', NAME],
    ],
    eval: [
      ['eval', '--run', folder],
      ['eval', '--run', folder, '--json'],
      ['eval', '--run', `./${NAME}`],
    ],
    predict: [
      ['predict', '--run', folder, NAME],
      ['predict', '--run', folder, NAME, '--json'],
      ['predict', '--run', folder, NAME, '--top', NAME],
    ],
    export: [
      ['export', '--run', folder, '--out', file],
      ['export', '--run', folder, '--out', file, '--json'],
      ['export', '--run', folder, '--out', join(work, 'no', NAME)],
    ],
    import: [
      ['import', file, '--preset', 'lenet', ...at, '--run', 'i'],
      ['import', file, ...at, '--run', 'i', '--preset', 'lenet'],
      ['import', NAME, ...at, '--run', 'k'],
      ['import', file, ...at, '--run', 'k', '--class-names', NAME],
    ],
    kernels: [
      ['kernels', '--run', folder],
      ['kernels', '--run', folder, '--json'],
      ['kernels', '--run', folder, '--out', join(work, 'no', NAME)],
    ],
    data: [
      ['data', 'check', data, '--report', join(work, `${NAME}.json`)],
      ['data', 'check', data, '--report', join(work, `${NAME}.json`), '--json'],
      ['data', 'check', NAME],
      ['data', 'prepare', data],
      ['data', 'split', NAME, '--out', join(work, NAME, 'divided')],
      ['data', 'split', join(data, 'train'), '--out', join(work, NAME, 'divided')],
      ['data', 'prepare', data, '--on-bad-image', 'skip', '--resize', '8', '--pack', join(work, NAME, 'packed')],
      ['data', 'fetch', NAME],
      ['data', 'fetch', 'cifar-10', '--out', join(work, NAME)],
    ],
    devices: [['devices'], ['devices', '--json']],
    doctor: [['doctor'], ['doctor', '--json']],
    accept: [
      ['accept', '--out', join(work, `${NAME}.json`)],
      ['accept', '--devices', NAME],
    ],
    plan: [
      ['plan', '--devices', NAME],
      ['plan', '--net', NAME],
    ],
    serve: [['serve', '--address', `${NAME}:2222`]],
    setup: [['setup']],
    schema: [['schema', `--${NAME}`]],
    completion: [['completion', NAME]],
    'no command': [[NAME]],
  };
}

test('no command prints control characters or newlines from a name', async (t) => {
  const work = folderOf(t, {});
  const lines = await commandLines(t, work);
  const commands = buildProgram(SERVICES, () => {}).commands.map((command) => command.name());
  assert.deepEqual(
    commands.filter((name) => !(name in lines)),
    [],
    'a command that is not tried',
  );
  for (const argv of Object.values(lines).flat()) {
    const { stdout, stderr } = await run(argv, { loadTrain: trainModule(results), ...services });
    const text = stdout.text + stderr.text;
    const title = JSON.stringify(argv);
    assert.ok(!OBEYED.test(text), `${title}: ${JSON.stringify(text)}`);
    assert.doesNotMatch(text, /^FORGED/m, title);
    if (!['summary', 'export'].includes(argv[0]!)) assert.match(text, /TITLE/, `${title} did not come to the name`);
    if (argv.includes('--json')) for (const line of jsonOf(stdout)) assert.doesNotThrow(() => JSON.parse(line), title);
  }
  const texts = textsIn(work);
  for (const kind of [
    'config.json',
    'dataset.json',
    'train-000000.json',
    `${NAME}.json`,
    'classes.json',
    `${NAME}.safetensors`,
  ]) {
    assert.ok(
      texts.some(([name]) => name.endsWith(kind)),
      `${kind} was not written`,
    );
  }
  for (const [name, text] of texts) assert.ok(!OBEYED.test(text), `${JSON.stringify(name)}: ${JSON.stringify(text)}`);
});

/** Of the files that are text, or begin with some: `cat` shows them. */
function textsIn(folder: string): [name: string, text: string][] {
  const files = fs.readdirSync(folder, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
  return files.flatMap(({ name, parentPath }): [string, string][] => {
    const bytes = fs.readFileSync(join(parentPath, name));
    if (/\.(json|md|ndjson)$/.test(name)) return [[name, bytes.toString()]];
    return name.endsWith('.safetensors')
      ? [[name, bytes.toString('utf8', 8, 8 + Number(bytes.readBigUInt64LE()))]]
      : [];
  });
}

/** Of `data check` JSON over several lines, of others one a line. */
function jsonOf({ text, lines }: Screen): string[] {
  return text.startsWith('{\n') ? [text] : lines;
}

test('a terminal gets the escapes of the view, but none from a name; neither do the files of a run', async (t) => {
  const out = folderOf(t, {});
  const [stdout, stderr] = [new Screen(true), new Screen(true)];
  const argv = ['train', '--out', out, '--run', 'r'];
  await run(argv, { loadTrain: trainModule(results), ...services, stdout, stderr });
  assert.ok(stdout.text.includes('\u001b[?25l'), 'the view is drawn');
  assert.match(stdout.text, /warning: n\\u001b\]0;TITLE\\u0007\\u009b2J\\u202e\\r\\nFORGED\\u2028/);
  for (const obeyed of ['\u001b]0', '\u001b[2J', '\u009b', '\u202e', '\u2028']) {
    assert.ok(!stdout.text.includes(obeyed), JSON.stringify(obeyed));
  }
  const log = fs.readFileSync(join(out, 'r', 'log.ndjson'), 'utf8');
  assert.ok(!OBEYED.test(log), log);
  const warned = log.split('\n').findLast((line) => line.includes('"event":"warning"'));
  assert.equal(JSON.parse(warned!).message, NAME);
});

test('a command whose terminal is gone continues to its own exit code', { timeout: 60_000 }, async () => {
  const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  const program = `
    import { isatty } from 'node:tty';
    import { surviveLostOutput } from ${url('../../src/cli/output.js')};
    process.on('SIGHUP', () => {});
    surviveLostOutput();
    let after = 0;
    const timer = setInterval(() => {
      process.stdout.write('ready\\n');
      process.stderr.write('ready\\n');
      if (!isatty(1) && ++after === 5) clearInterval(timer);
    }, 10);`;
  const args = [IN_TERMINAL, process.execPath, '--input-type=module', '--eval', program];
  const child = spawn('python3', args, { stdio: 'pipe' });
  const { hasPrinted, ended } = collect(child);
  await hasPrinted('ready');
  child.stdin.write('close\n');
  const { stderr } = await ended;
  assert.deepEqual(JSON.parse(stderr), { code: 0, left: [] });
});

/** README, CONTRIBUTING and docs/: every command in them runs, and what they say of the code is so. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Command as Commander } from 'commander';
import { buildProgram } from '../src/cli/program.js';
import { SERVICES } from '../src/cli/services.js';
import { PRESETS } from '../src/config/presets.js';
import { serversOf } from '../src/config/servers.js';
import { FETCHABLE } from '../src/data/index.js';
import { signalExitCode } from '../src/end-signals.js';
import { WARNING_KINDS } from '../src/log.js';
import { buildNet, parametersOf, volume } from '../src/model/net.js';
import { towersPicture } from '../src/model/summary.js';
import { TABLES } from '../src/model/tables.js';
import { VARIANT_NAMES } from '../src/train/ablate.js';
import { newReport } from '../src/train/accept/report.js';
import { TOLERANCES } from '../src/train/verify.js';
import { putCheckpoint } from './checkpoint/put-checkpoint.js';
import { DEVICES, type Outcome, run, SPEEDS, threeSteps, trainModule } from './cli/stand-ins.js';
import { lenetRun } from './cli/weights-runs.js';
import { IMAGES } from './data/sets.js';
import { FOUND } from './plan/found.js';
import { ratesOf } from './plan/rates.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const read = (name: string) => fs.readFileSync(join(ROOT, name), 'utf8');
const scripts: Record<string, string> = JSON.parse(fs.readFileSync(join(ROOT, 'package.json'), 'utf8')).scripts;
const PAGES = ['README.md', 'CONTRIBUTING.md', ...markdown('docs')];

/** The pages of a folder. */
function markdown(folder: string): string[] {
  const names = fs.readdirSync(join(ROOT, folder)).filter((name) => name.endsWith('.md'));
  return names.map((name) => `${folder}/${name}`);
}

const TESTS = fs
  .readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts'));

/** What a page calls something that everybody names differently. */
const PLACEHOLDERS: Record<string, string> = {
  ...{ '<name>': 'big', NAME: 'big', 'runs/<name>': 'runs/big', mini3: 'big', mine: 'big', '<other>': 'single' },
  ...{ FOLDER: 'images', DIR: 'images', '<folder>': 'images', OUT: 'packed', FILE: 'net.safetensors' },
  ...{ 'accept-<date>.json': 'accept.json', '…': '' },
};

const work = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-docs-'));
after(() => fs.rmSync(work, { recursive: true, force: true }));
process.chdir(work);
await prepare();

/** A folder with what the pages' commands name: runs, checkpoints, images, a config file. */
async function prepare(): Promise<void> {
  for (const part of ['train', 'val']) {
    for (const name of ['a', 'b']) {
      fs.mkdirSync(join('images', part, name), { recursive: true });
      fs.copyFileSync(join(IMAGES, 'rgb.jpg'), join('images', part, name, `${part}.jpg`));
    }
  }
  for (const name of ['cat', 'dog']) {
    for (const folder of ['photos', 'stamps']) {
      fs.mkdirSync(join(folder, name), { recursive: true });
      for (const i of [1, 2, 3]) fs.copyFileSync(join(IMAGES, 'rgb.jpg'), join(folder, name, `${i}.jpg`));
    }
  }
  for (const name of ['picture.jpg', 'picture.png', 'test-0.png', 'test-1.png', 'trunc.jpg'])
    fs.copyFileSync(join(IMAGES, 'rgb.jpg'), name);
  fs.writeFileSync('settings.json', '{}');
  fs.writeFileSync('names.json', JSON.stringify([...'abcdefghij']));
  const folder = await lenetRun('runs', 'big');
  const { config } = JSON.parse(fs.readFileSync(join(folder, 'log.ndjson'), 'utf8').split('\n')[0]!);
  const towers = [0, 1].map((tower) => join(folder, `tower-${tower}-of-2.safetensors`));
  putCheckpoint(folder, 1000, { config, best: { step: 1000, top1: 0.5 } } as never, towers);
  for (const name of ['split', 'single']) fs.cpSync(folder, join('runs', name), { recursive: true });
  assert.equal((await run(['export', '--run', 'big', '--out', 'net.safetensors'])).exitCode, 0);
}

interface Command {
  page: string;
  text: string;
}

/** Lines of code blocks, and inline code, that begin with a program of ours. */
function commandsOf(page: string): Command[] {
  const text = read(page);
  const starts =
    /^(?:\$ )?(?:[A-Z_]+=\S+ )*((?:npm (?:run|test)|npx alexnet-split|alexnet-split|node (?:dist|scripts)\/\S+)(?: .*|$))/;
  const blocks = [...text.matchAll(/^```\w*\n([\s\S]*?)^```/gm)].flatMap(([, block]) => block!.split('\n'));
  const inline = [...text.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!);
  return [...blocks, ...inline].flatMap((line) => {
    const found = starts
      .exec(line)?.[1]
      ?.replace(/\s+#.*$/, '')
      .replace(/\s+[|>]\s.*$/, '')
      .trim();
    return found === undefined ? [] : [{ page, text: found }];
  });
}

/** What `npm run NAME -- …` or `alexnet-split …` gives to the command line; undefined for another program. */
function argumentsOf(text: string): string[] | undefined {
  const words = text.split(/\s+/).flatMap((word) => (word in PLACEHOLDERS ? [PLACEHOLDERS[word]!] : [word]));
  const given = words.map((word) => word.replace('<name>', 'big')).filter((word) => word !== '');
  if (given[0] === 'npx') given.shift();
  if (given[0] === 'alexnet-split') return given.slice(1);
  const [program, , name = '', dashes, ...flags] = given;
  if (program !== 'npm') return undefined;
  const script = /scripts\/run\.cjs (?!--)(.*)$/.exec(scripts[name] ?? '')?.[1];
  if (script === undefined) return undefined;
  assert.ok(dashes === undefined || dashes === '--', `${text}: npm takes flags that do not follow --`);
  return [...script.split(' '), ...flags];
}

const GPUS = ['GPU:0', 'GPU:1', 'GPU:2', 'GPU:3'].map((name) => ({
  ...DEVICES[0]!,
  name,
  fullName: name,
  type: 'GPU',
}));

const remoteGpus = (servers: readonly string[] = []) =>
  servers.map((server) => ({ ...GPUS[0]!, name: `${server}/GPU:0`, memory: 'remote' as const }));

const LIBRARY = { framework: '', tensorflow: '', source: 'cache' as const, flavour: 'cpu' as const, nvidiaFolders: [] };

const SERVER = {
  ...{ port: 2222, devices: DEVICES, version: '2.21.0', intraOpThreads: 2 },
  restrict: () => ({ listeners: 1, ended: 0, waiting: 0, by: 'filter' as const }),
  exit: () => {},
};

/** The data sets that can be fetched, without their files. */
const nothing = { files: [], bring: async () => {} };
const fetchable = {
  'fashion-mnist': { ...FETCHABLE['fashion-mnist'], ...nothing },
  'cifar-10': { ...FETCHABLE['cifar-10'], ...nothing },
};

/** Runs a command with stand-ins for trainings, devices and checks. */
function runs(argv: readonly string[]): Promise<Outcome> {
  const scores = { loss: 1, top1: 0.5, top5: 1, images: 4, skipped: 0, step: 1000, checkpoint: 'runs/big' };
  return run(argv, {
    findCluster: async ({ devices, servers = [] }) => {
      const all = serversOf(servers, devices);
      return all.length === 0
        ? undefined
        : { servers: all, coordinator: '127.0.0.1:1', timeoutMs: 1, keepAliveSeconds: 1 };
    },
    listDevices: async (options) => [...DEVICES, ...GPUS, ...remoteGpus(options?.cluster?.servers)],
    serverDevices: async (servers) => remoteGpus(servers),
    examineLibrary: async () => ({ library: LIBRARY, nvidia: false, hidden: false, cuda: [] }),
    countClasses: async () => (source: string) => (/(images|photos|pets)$/.test(source) ? 2 : undefined),
    loadFetchable: async () => fetchable,
    loadTrain: trainModule({
      train: threeSteps,
      verify: async () => ({ passed: true, rows: [], losses: [], tolerances: TOLERANCES }),
      verifyGolden: async () => ({ passed: true, rows: [] }),
      evaluateRun: async () => scores as never,
      predictFiles: async () => [],
      compareSpeeds: async () => SPEEDS,
    }),
    loadPlan: async () => ({
      calibrate: async ({ net, batchSize }, device) => ratesOf(buildNet(net), batchSize, 1, { device }),
      rehearse: async () => FOUND,
    }),
    ownAddresses: async ({ host }) => [host],
    loadServer: async () => ({ startServer: () => SERVER }),
    loadAccept: async () => ({ accept: async () => ({ ...newReport([], false, new Date(0)), status: 'passed' }) }),
  });
}

/** Commands that the pages show because they are refused. */
const REFUSED = ['npm run train:split --seed=7'];

for (const page of PAGES) {
  const commands = commandsOf(page).filter(({ text }) => !REFUSED.includes(text));
  if (commands.length === 0) continue;
  test(`every command in ${page} runs`, async () => {
    for (const { text } of commands) {
      if (text.startsWith('npm test')) assertTests(text);
      else if (text.startsWith('node ')) assertProgram(text);
      else await assertRuns(text, page);
    }
  });
}

/** `npm test -- PART` finds a test file. */
function assertTests(text: string): void {
  const parts = text
    .split(/\s+/)
    .slice(3)
    .filter((part) => !part.startsWith('-'));
  for (const part of parts)
    assert.ok(
      TESTS.some((name) => `test/${name}`.includes(part)),
      `${text}: no test has ${part}`,
    );
}

/** `node dist/scripts/x.js` is compiled from a source that exists. */
function assertProgram(text: string): void {
  const file = text.split(' ')[1]!;
  const source = file.startsWith('dist/') ? file.slice(5).replace(/\.js$/, '.ts') : file;
  assert.ok(fs.existsSync(join(ROOT, source)), text);
}

async function assertRuns(text: string, page: string): Promise<void> {
  const argv = argumentsOf(text);
  if (argv === undefined) {
    const name = text.split(' ')[2];
    assert.ok(name === undefined || name in scripts, `${text}: there is no such script`);
    return;
  }
  if (argv.length === 0) return;
  fs.writeFileSync('hour.json', configIn(page) ?? '{}');
  fs.writeFileSync('cluster.json', clusterIn(page) ?? '{}');
  // It serves until a signal ends it.
  const isEndless = argv.includes('--follow') || argv[0] === 'serve';
  const timer = isEndless ? setInterval(() => process.emit('SIGUSR1', 'SIGUSR1'), 50) : undefined;
  const { exitCode, stderr } = await runs(withNewOutput(argv));
  clearInterval(timer);
  assert.equal(exitCode, isEndless ? signalExitCode('SIGUSR1') : 0, `${text}: ${stderr.text}`);
}

/** What `--config` reads: the page's settings for it. */
function configIn(page: string): string | undefined {
  return /^```json\n(\{ "preset"[\s\S]*?)^```/m.exec(read(page))?.[1];
}

/** What `--cluster` reads. */
function clusterIn(page: string): string | undefined {
  return /^```json\n(\{\n {2}"servers"[\s\S]*?)^```/m.exec(read(page))?.[1];
}

let outputs = 0;

/** Commands that make a file, a folder or a run refuse a name that exists, so each gets a name of its own. */
function withNewOutput([command, ...flags]: readonly string[]): string[] {
  const makes = { import: ['--run'], export: ['--out'], data: ['--pack', '--out'] }[command!] ?? [];
  const i = flags.findIndex((flag) => makes.includes(flag));
  return [command!, ...(i < 0 ? flags : flags.with(i + 1, `output-${outputs++}`))];
}

// ---- what the command line prints

test('every example in --help runs', async () => {
  let examples = 0;
  const visit = async (command: Commander, path: readonly string[]) => {
    const { stdout } = await run([...path, '--help']);
    for (const [, text] of stdout.text.matchAll(/^ {2}(?:Example: )?(alexnet-split .*)$/gm)) {
      await assertRuns(text!, 'docs/cli.md');
      examples++;
    }
    for (const each of command.commands) await visit(each, [...path, each.name()]);
  };
  await visit(
    buildProgram(SERVICES, () => {}),
    [],
  );
  assert.ok(examples > 40, String(examples));
});

/** A line without its numbers. A time of a minute or more is written otherwise than one of seconds. */
function masked(line: string): string {
  const seconds = line.replaceAll(/\d+(?::\d\d)+/g, '0 s').replace('? left', '0 s left');
  return seconds.replaceAll(/\d[\d.,]*(?:e-?\d+)?/g, '#').replaceAll(/ +/g, ' ');
}

test('README shows what train:split prints', () => {
  const shown = /^preset mini: [\s\S]*?^done: .*$/m.exec(read('README.md'))![0].split('\n');
  const { stdout, stderr } = spawnSync(
    process.execPath,
    // A smaller net, and smaller batches, print other numbers only.
    [
      join(ROOT, 'dist', 'src', 'cli.js'),
      'train',
      '--placement',
      'split',
      '--steps',
      '20',
      ...['--width', '0.125', '--batch-size', '16'],
    ],
    { encoding: 'utf8', env: { ...process.env, CUDA_VISIBLE_DEVICES: '-1', FAKE_GPU: '' } },
  );
  const printed = new Set([...stdout.split('\n'), ...stderr.split('\n')].map(masked));
  for (const line of shown.filter((each) => each !== '…'))
    assert.ok(printed.has(masked(line)), `${line}\nis not among\n${stdout}${stderr}`);
  const { epochs, batchSize } = PRESETS.mini;
  const steps = epochs * Math.ceil(10_000 / batchSize);
  assert.ok(shown.some((line) => line.includes(`: ${steps} steps of ${batchSize} images`)));
});

// ---- what the pages say of the code

test('README has the picture of the original net that the table gives', () => {
  const { inputSize, inputChannels, classes } = TABLES.original;
  const size = { width: 1, inputSize, inputChannels, classes };
  const picture = towersPicture(buildNet({ table: 'original', ...size, init: 'table', dropout: true }));
  assert.ok(read('README.md').includes(`\n${picture}\n`));
});

test('links between the pages lead to files and headings that exist', () => {
  const headings = (text: string) =>
    [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
      title!
        .toLowerCase()
        .replaceAll(/[^\w\s-]/g, '')
        .replaceAll(' ', '-'),
    );
  for (const name of [...PAGES, 'CHANGELOG.md']) {
    for (const [link, path, heading] of read(name).matchAll(/\]\(([\w./-]*)(?:#([\w-]+))?\)/g)) {
      const target = path === '' ? name : join(dirname(name), path!);
      assert.ok(fs.existsSync(join(ROOT, target)), `${name}: ${link}`);
      if (heading) assert.ok(headings(read(target)).includes(heading), `${name}: ${link}`);
    }
  }
});

test('source files that the pages mention exist', () => {
  for (const name of PAGES) {
    for (const [, path] of read(name).matchAll(
      /`((?:src|scripts|test|benchmarks)\/[\w./-]*(?:\/|\.(?:ts|mjs|py|json)))`/g,
    )) {
      assert.ok(fs.existsSync(join(ROOT, path!)), `${name} names ${path}`);
    }
  }
});

test('docs/recipe.md has the parameters, the rates and the length of the presets', () => {
  const text = read('docs/recipe.md');
  for (const [name, { net, placement }] of Object.entries(PRESETS).filter(([each]) => each.startsWith('imagenet'))) {
    const count = parametersOf(buildNet(net)).reduce((total, { shape }) => total + volume(shape), 0);
    const where = placement === 'single' ? 'single' : 'split or single';
    const row = `| \`${name}\` | \`${net.table}\` | ${count.toLocaleString('en-US')} | ${where} |`;
    assert.ok(text.includes(row), row);
  }
  const { optimizer, epochs } = PRESETS.imagenet;
  assert.ok(optimizer.schedule.kind === 'steps');
  assert.ok(text.includes(`by ten after epochs ${optimizer.schedule.epochs.join(', ')}`));
  assert.ok(text.includes(`stopped at ${epochs}`));
  for (const variant of VARIANT_NAMES) assert.ok(text.includes(`\`${variant}\``), variant);
});

test('docs/warnings.md and docs/log-events.md have every kind of warning', () => {
  const [table] = read('docs/warnings.md').split('\n## ');
  const rows = [...table!.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, kind]) => kind);
  assert.deepEqual(rows, [...WARNING_KINDS]);
  for (const kind of WARNING_KINDS) assert.ok(read('docs/log-events.md').includes(`\`${kind}\``), kind);
});

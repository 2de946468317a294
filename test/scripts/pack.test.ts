/** Packs the package as it stands, installs it where nothing can be downloaded, and runs the programs of the pages there. */
import assert from 'node:assert/strict';
import { type SpawnSyncOptions, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, test } from 'node:test';
import { currentBundle } from '../../src/tower/thread-file.js';
import { IMAGES, lenetFlags } from '../data/sets.js';
import { environment, ROOT } from '../native/child.js';

const USED = '@tensorflow/tfjs-node-gpu';
const { dependencies } = readJson(join(ROOT, 'package.json')) as { dependencies: Record<string, string> };
const others = Object.keys(dependencies).filter((name) => name !== USED);

const temporary = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'alexnet-split-pack-')));
after(() => fs.rmSync(temporary, { recursive: true, force: true }));
const project = join(temporary, 'project');
const installed = join(project, 'node_modules', 'alexnet-split');
const bundled = join(installed, 'node_modules', USED);

function readJson(file: string): Record<string, unknown> {
  return JSON.parse(fs.readFileSync(file, 'utf8'));
}

/** Runs a program to its end, which has to be a good one. @returns what it printed. */
function run(program: string, args: string[], options: SpawnSyncOptions): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', ...options });
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${error?.message ?? ''}${stderr}${stdout}`);
  return String(stdout);
}

/** npm where no host can be reached, with install scripts allowed and its files in the temporary folder. */
function npm(args: string[], cwd: string): string {
  const unreachable = { https_proxy: 'http://127.0.0.1:9', http_proxy: 'http://127.0.0.1:9', no_proxy: '' };
  const env = environment({ ...unreachable, npm_config_cache: join(temporary, 'cache') });
  // What npm tells its scripts, among them this test, would be settings of this npm.
  for (const name of ['npm_config_ignore_scripts', 'npm_config_local_prefix']) delete env[name];
  return run('npm', [...args, '--offline', '--no-audit', '--no-fund', '--no-update-notifier'], { cwd, env });
}

/** A package that has nothing in it, in the place of one from the registry. */
function standIn(name: string): string {
  const folder = join(temporary, 'stand-ins', name);
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version: dependencies[name] }));
  return folder;
}

/** A preload that adds the modules which a process has loaded to a list. */
const trace = join(temporary, 'trace.cjs');
const loadedList = join(temporary, 'loaded');

let tarball = '';

test('npm pack includes the used parts of @tensorflow/tfjs-node-gpu, without scripts and source maps', () => {
  const [packed] = JSON.parse(npm(['pack', '--json', '--pack-destination', temporary], ROOT)) as [
    { filename: string; files: { path: string }[]; bundled: string[] },
  ];
  tarball = join(temporary, packed.filename);
  assert.deepEqual(packed.bundled, [USED]);
  const paths = packed.files.map(({ path }) => path);
  const expected = [
    'bin/alexnet-split.cjs',
    'bin/threads.cjs',
    'dist/src/cli.js',
    'dist/src/index.d.ts',
    'dist/src/report/page.json',
    'dist/src/tower/worker.bundle.cjs',
    'LICENSE',
  ];
  for (const path of [...expected, `node_modules/${USED}/LICENSE`]) {
    assert.ok(paths.includes(path), path);
  }
  const notUsed = /\.map$|_test\.|node_modules\/(?!@tensorflow\/tfjs-node-gpu\/(dist|package|LICENSE|README))/;
  assert.deepEqual(
    paths.filter((path) => notUsed.test(path)),
    [],
  );
});

test('npm install of the tarball runs with scripts allowed and no host reachable, and the package trains', (t) => {
  fs.mkdirSync(project);
  const overrides = Object.fromEntries(others.map((name) => [name, `file:${standIn(name)}`]));
  const asks = { dependencies: { 'alexnet-split': `file:${tarball}` }, overrides };
  fs.writeFileSync(join(project, 'package.json'), JSON.stringify(asks));
  npm(['install', '--ignore-scripts=false'], project);
  const { scripts, gypfile, ...rest } = readJson(join(bundled, 'package.json'));
  assert.deepEqual([scripts, gypfile], [undefined, undefined]);
  // With an edge from it npm leaves folders empty where it nests, as in a global install.
  assert.deepEqual(
    Object.keys(rest).filter((key) => /dependencies/i.test(key)),
    [],
  );

  for (const name of others) {
    fs.rmSync(join(temporary, 'stand-ins', name), { recursive: true });
    fs.symlinkSync(join(ROOT, 'node_modules', name), join(temporary, 'stand-ins', name));
  }
  fs.writeFileSync(
    trace,
    `process.on('exit', () => require('fs').appendFileSync(${JSON.stringify(loadedList)},
      Object.keys(require.cache).map((file) => file + '\\n').join('')));`,
  );
  const output = run(
    join(project, 'node_modules', '.bin', 'alexnet-split'),
    ['train', '--steps', '5', ...lenetFlags(temporary)],
    {
      cwd: project,
      env: environment({ NODE_OPTIONS: `--require ${trace}` }),
    },
  );
  assert.match(output, /^done: .* after 5 steps/m);
  // The towers' bundle is that of the installed modules too, unless the clone has no bundle of its own.
  const towers = join('dist', 'src', 'tower');
  const [here, there] = [ROOT, installed].map((folder) => currentBundle(join(fs.realpathSync(folder), towers)));
  assert.equal(there && relative(fs.realpathSync(installed), there), here && relative(ROOT, here));
  // Nothing that only a clone has, such as ECharts, is needed for the page.
  const [page] = run(join(project, 'node_modules', '.bin', 'alexnet-split'), ['report', '--out', 'page.html'], {
    cwd: project,
    env: environment({}),
  }).split('\n');
  assert.match(fs.readFileSync(join(project, page!), 'utf8'), /<script>\/\*!\necharts 6/);
  t.diagnostic(`${fs.statSync(tarball).size} bytes`);
});

/** The programs of a page: the name in the first comment, and the text. */
function programsOf(page: string): [name: string, text: string][] {
  const text = fs.readFileSync(join(ROOT, 'docs', page), 'utf8');
  return [...text.matchAll(/^```[jt]s\n(\/\/ (\S+\.m[jt]s)\n[\s\S]*?)^```/gm)].map(([, code, name]) => [name!, code!]);
}

/** What each program prints, with its arguments if it has any, in the order in which they need one another. */
const PROGRAMS: [line: string, expected: RegExp][] = [
  ['train.mjs', /^step 10: [\d.]+\nstep 20: [\d.]+\n20 steps, [\d.]+ % of the test images are right\n$/],
  ['verify.mjs', /^equal: at most \S+ apart, in \S+\n$/],
  [
    `predict.mjs ${join(IMAGES, 'rgb.jpg')} ${join(IMAGES, 'html.jpg')}`,
    /^[\d.]+ % of 1000 test images\n\S+rgb\.jpg (.+ 0\.\d\d, ){2}.+ 0\.\d\d\n\S+html\.jpg is not an image: .*\n$/,
  ],
  ['fit.mjs', /^loss \d\.\d{3} to \d\.\d{3} on \/job:localhost\S+CPU:1\nthe loaded model is the same\n$/],
  ['typed.mjs', /^(\d\.\d{3} ){3}0\.\d+\n$/],
  ['two-devices.mjs', /^(3 3 3 3 on \S+CPU:[01]\n){2}$/],
];

test('the programs of the pages run with the installed package, and print nothing but what they say', () => {
  const programs = [...programsOf('programs.md'), ...programsOf('native.md')];
  for (const [name, text] of programs) fs.writeFileSync(join(project, name), text);
  // Its types pass without skipLibCheck.
  fs.symlinkSync(join(ROOT, 'node_modules', '@types'), join(project, 'node_modules', '@types'));
  const page = fs.readFileSync(join(ROOT, 'docs', 'programs.md'), 'utf8');
  const [, flags] = /^npx tsc (.*)$/m.exec(page)!;
  const env = environment({ NODE_OPTIONS: `--require ${trace}` });
  run(join(ROOT, 'node_modules', '.bin', 'tsc'), flags!.split(' '), { cwd: project, env: environment({}) });
  for (const [line, expected] of PROGRAMS) {
    const { status, stdout, stderr } = spawnSync(process.execPath, line.split(' '), {
      cwd: project,
      env,
      encoding: 'utf8',
    });
    assert.deepEqual([status, stderr], [0, ''], `${line}: ${stdout}`);
    assert.match(stdout, expected, line);
  }
  const names = PROGRAMS.map(([line]) => line.split(' ')[0]!.replace('typed.mjs', 'typed.mts'));
  assert.deepEqual(programs.map(([name]) => name).sort(), names.sort());
  // It is made as the page says: a second run with that name is refused by an exception, in one sentence.
  const again = spawnSync(process.execPath, ['train.mjs'], { cwd: project, env, encoding: 'utf8' });
  assert.deepEqual([again.status, again.stdout], [2, '']);
  assert.match(again.stderr, /^Cannot use runs\/mine for a new run: it exists already; [^\n]+\n$/);
});

test('the package has no file of tfjs-node that neither the commands nor the programs load', () => {
  const loaded = new Set(fs.readFileSync(loadedList, 'utf8').trim().split('\n'));
  const ofIt = [...loaded].filter((file) => file.includes(`/${USED}/`)).map((file) => relative(bundled, file));
  const { files } = readJson(join(bundled, 'package.json'));
  assert.deepEqual(ofIt.sort(), (files as string[]).filter((file) => file.endsWith('.js')).sort());
});

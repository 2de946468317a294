/** Commands that npm starts: flags that npm took, and the folder in which the user typed. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { npmScript, refuseNpmFlags, trainCommand, userFolder } from '../../src/cli/npm.js';
import { buildProgram } from '../../src/cli/program.js';
import { SERVICES } from '../../src/cli/services.js';
import { folderOf } from '../data/sets.js';
import { run } from './stand-ins.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const OURS = {
  npm_package_json: join(ROOT, 'package.json'),
  npm_lifecycle_event: 'train:split',
  npm_lifecycle_script: 'node scripts/run.mjs train --placement split',
};
const ARGV = ['train', '--placement', 'split'];
const program = buildProgram(SERVICES, () => {});

/** What is said of the environment that npm makes of a line. */
function said(argv: readonly string[], env: Readonly<Record<string, string>>): string | undefined {
  try {
    refuseNpmFlags(program, argv, env);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

test('trainCommand() is what the user types: a script of a clone, npx, or the program', () => {
  assert.equal(trainCommand(OURS, 'single'), 'npm run train:single --');
  const watching = { npm_lifecycle_event: 'watch', npm_lifecycle_script: 'exec node scripts/run.mjs watch' };
  assert.equal(trainCommand({ ...OURS, ...watching }, 'split'), 'npm run train:split --');
  assert.equal(trainCommand({}, 'split'), 'alexnet-split train');
  assert.equal(trainCommand({ npm_command: 'exec', npm_lifecycle_event: 'npx' }, 'split'), 'npx alexnet-split train');
  const { npm_package_json: _, ...other } = OURS;
  assert.equal(trainCommand({ ...other, npm_package_json: '/theirs/package.json' }, 'split'), 'alexnet-split train');
});

test('refuseNpmFlags() names every flag that npm took, and the line that works', () => {
  const commands = (command: Command): Command[] => [command, ...command.commands.flatMap(commands)];
  const scripts = commands(program).filter((command) => command.parent && command.commands.length === 0);
  const pairs = scripts.flatMap((command) => command.options.map((option) => ({ command, option })));
  assert.ok(pairs.length > 200);
  for (const { command, option } of pairs) {
    const { long, negate, required } = option;
    if (long === '--only') continue;
    const argv = command.parent === program ? [command.name()] : [command.parent!.name(), command.name()];
    const env = {
      ...OURS,
      npm_lifecycle_event: argv[0]!,
      npm_lifecycle_script: `exec node scripts/run.mjs ${argv[0]}`,
    };
    const name = `npm_config_${long!.slice(2).replace(/^no-/, '').replaceAll('-', '_')}`;
    // As npm writes `--seed=7`, `--json` and `--no-flip`.
    const value = required ? '7' : negate ? '' : 'true';
    const typed = required ? `${long} 7` : long;
    assert.equal(
      said(argv, { ...env, [name]: value }),
      `Cannot use ${typed}: npm read it as its own setting, expected a flag of alexnet-split after --; type \`npm run ${[argv[0], '--', ...argv.slice(1), typed].join(' ')}\``,
    );
  }
});

test('refuseNpmFlags() does not suggest a flag that the command lacks', () => {
  const of = (words: string) => ({
    ...OURS,
    npm_lifecycle_event: words.split(' ')[0]!,
    npm_lifecycle_script: `node scripts/run.mjs ${words}`,
  });
  const cases: [words: string, typed: Record<string, string>, said: string][] = [
    ['summary', { seed: '7' }, '--seed: summary has no such flag; leave it out'],
    ['train --placement split', { quick: 'true', seed: '7' }, '--quick: train has no such flag; leave it out'],
    ['train --placement split', { seed: '' }, '--no-seed: train has no such flag; leave it out'],
    ['train --placement split', { dropout: 'true' }, '--dropout: train has no such flag; leave it out'],
    ['doctor', { seed: '7', flip: 'true' }, '--flip, --seed: doctor has no such flags; leave them out'],
    ['data check d', { pack: 'x' }, '--pack: data check has no such flag; leave it out'],
  ];
  for (const [words, typed, message] of cases) {
    const npm = Object.fromEntries(Object.entries(typed).map(([key, value]) => [`npm_config_${key}`, value]));
    assert.equal(
      said(words.split(' '), { ...of(words), ...npm }),
      `Cannot use ${message}, and put other flags after --`,
    );
  }
  // What npm has itself is for npm where the command has no such flag.
  assert.equal(said(['setup'], { ...of('setup'), npm_config_json: 'true' }), undefined);
  assert.equal(said(['ablate'], { ...of('ablate'), npm_config_only: 'production' }), undefined);
});

test('the suggested line has the values and arguments that npm left', () => {
  const lines: [argv: string[], env: Record<string, string>, flags: string][] = [
    [['7'], { seed: 'true' }, '--seed 7'],
    [['7', '--lr', '0.1'], { seed: 'true' }, '--lr 0.1 --seed 7'],
    [['7', '0.1'], { seed: 'true', lr: 'true' }, '--lr <rate> --seed <n>'],
    [['a.jpg'], { run: 'my run' }, "a.jpg --run 'my run'"],
    [[], { out: '~/x', dropout: '' }, '--out ~/x --no-dropout'],
    [[], { seed: 'true' }, '--seed <n>'],
  ];
  for (const [argv, env, flags] of lines) {
    const npm = Object.fromEntries(Object.entries(env).map(([key, value]) => [`npm_config_${key}`, value]));
    const [, line] =
      /type `npm run train:split -- (.*)`$/.exec(said([...ARGV, ...argv], { ...OURS, ...npm }) ?? '') ?? [];
    assert.equal(line, flags);
  }
});

test("settings of npm and of another package's script are not mistaken for our flags", (t) => {
  const folder = folderOf(t, { npmrc: Buffer.from('; mine\n  json = true\nseed=8\n') });
  const other = { ...OURS, npm_package_json: join(folder, 'package.json') };
  fs.writeFileSync(other.npm_package_json, '{}');
  const typed = { npm_config_seed: '7', npm_config_json: 'true' };
  const quiet: Record<string, string>[] = [
    { ...OURS, npm_config_loglevel: 'warn', npm_config_yes: 'true', npm_config_cache: '/c', npm_config_audit: '' },
    { ...OURS, ...typed, npm_config_userconfig: join(folder, 'npmrc') },
    { ...OURS, ...typed, npm_config_globalconfig: join(folder, 'npmrc') },
    { ...other, ...typed },
    { ...typed },
    // Under `npm test`, and of a command that a script of ours started in turn.
    { ...OURS, ...typed, npm_lifecycle_event: 'test', npm_lifecycle_script: 'node scripts/run.mjs --test' },
    { ...OURS, ...typed, npm_lifecycle_script: 'node scripts/run.mjs verify' },
    { ...OURS, ...typed, npm_lifecycle_script: 'alexnet-split train --placement split' },
  ];
  for (const env of quiet) assert.equal(said(ARGV, env), undefined, JSON.stringify(env));
  const shell = { ...OURS, ...typed, npm_lifecycle_script: 'exec node scripts/run.mjs train --placement split "$@"' };
  assert.match(said(ARGV, shell)!, /^Cannot use --seed 7, --json: npm read them as its own settings/);
});

test('a command with a flag that npm took exits with 2 before anything else', async () => {
  const { exitCode, stdout, stderr } = await run([...ARGV, '7'], { env: { ...OURS, npm_config_seed: 'true' } });
  assert.deepEqual([exitCode, stdout.text, stderr.lines.length], [2, '', 1]);
  assert.match(stderr.text, /^error: Cannot use --seed 7: npm read it/);
});

test('an argument that npm left over gets a hint', async () => {
  // Of `npm run ablate --only no-norm`: npm has a setting of that name, for which the value is wrong.
  const env = { ...OURS, npm_lifecycle_event: 'ablate', npm_lifecycle_script: 'node scripts/run.mjs ablate' };
  const { exitCode, stderr } = await run(['ablate', 'no-norm'], { env });
  const said = "error: too many arguments for 'ablate'. Expected 0 arguments but got 1.";
  assert.deepEqual([exitCode, stderr.text], [2, `${said}; put flags after --: npm run ablate -- …\n`]);
  assert.equal((await run(['ablate', 'no-norm'])).stderr.text, `${said}\n`);
});

const noNpm = spawnSync('npm', ['--version']).status === 0 ? false : 'there is no npm on the PATH';

test('no flag has the name of a npm setting, except those that npm passes on', { skip: noNpm }, () => {
  const { stdout } = spawnSync('npm', ['config', 'ls', '--long', '--json'], { encoding: 'utf8' });
  const settings = Object.keys(JSON.parse(stdout));
  assert.ok(settings.length > 50);
  const options = [program, ...program.commands, ...program.commands.flatMap(({ commands }) => commands)].flatMap(
    (command) => command.options.filter(({ hidden }) => !hidden).map((option) => option.name()),
  );
  assert.deepEqual(
    settings.filter((name) => options.includes(name)),
    ['json', 'all', 'dry-run', 'force', 'link', 'version'],
  );
  const typed = { ...OURS, npm_config_dry_run: 'true' };
  assert.match(said(ARGV, typed)!, /^Cannot use --dry-run: .* type `npm run train:split -- --dry-run`$/);
});

test('with npm itself, a flag without -- is refused, and paths are relative to the current folder', {
  skip: noNpm,
}, (t) => {
  const cwd = fs.realpathSync(folderOf(t, { 'settings.json': Buffer.from('no JSON') }));
  const npm = (...args: string[]) =>
    spawnSync('npm', ['--silent', '--prefix', ROOT, 'run', ...args], { cwd, encoding: 'utf8' });
  const kept = npm('summary', '--net=lenet');
  assert.deepEqual([kept.status, kept.stdout], [2, '']);
  assert.match(kept.stderr, /^error: Cannot use --net lenet: .* type `npm run summary -- --net lenet`$/m);
  const read = npm('import', '--', 'x', '--run', 'x', '--config', 'settings.json');
  assert.match(read.stderr, /^error: Cannot read the config file settings\.json: (?!there is no such file).* JSON/m);
});

const base = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-user-'));
after(() => fs.rmSync(base, { recursive: true, force: true }));
const [clone, other] = [join(base, 'clone'), join(base, 'other')];
for (const folder of [clone, other]) {
  fs.mkdirSync(folder);
  fs.writeFileSync(join(folder, 'package.json'), '{}');
}
fs.symlinkSync(clone, join(base, 'link'));

const ENV = {
  INIT_CWD: '/where/the/user/stands',
  npm_lifecycle_event: 'train:split',
  npm_package_json: join(clone, 'package.json'),
  npm_lifecycle_script: 'node scripts/run.mjs train --placement split',
};
const ARGS = ['train', '--placement', 'split', '--out', 'runs'];

test('userFolder() is the folder where npm was started, if a script of this clone started the command', () => {
  const cases: [args: readonly string[], env: NodeJS.ProcessEnv, cwd: string, stands: boolean][] = [
    [ARGS, ENV, clone, true],
    [ARGS, { ...ENV, npm_lifecycle_script: 'exec node scripts/run.mjs train --placement split "$@"' }, clone, true],
    [ARGS, { ...ENV, npm_package_json: join(base, 'link', 'package.json') }, join(base, 'link'), true],
    // Another npm's: of the package whose script calls this one, of `npm test`, of a script that went elsewhere.
    [ARGS, { ...ENV, npm_package_json: join(other, 'package.json') }, clone, false],
    [ARGS, { ...ENV, npm_package_json: join(other, 'gone', 'package.json') }, clone, false],
    [ARGS, { ...ENV, npm_lifecycle_script: 'node scripts/run.mjs --test' }, clone, false],
    [ARGS, { ...ENV, npm_lifecycle_script: 'node scripts/run.mjs verify' }, clone, false],
    [ARGS, { ...ENV, npm_lifecycle_script: 'make' }, clone, false],
    [ARGS, ENV, other, false],
    [ARGS, { ...ENV, INIT_CWD: 'relative' }, clone, false],
    [ARGS, { ...ENV, npm_lifecycle_event: undefined }, clone, false],
    [ARGS, {}, clone, false],
  ];
  for (const [args, env, cwd, stands] of cases) {
    assert.equal(userFolder(clone, args, env, cwd), stands ? ENV.INIT_CWD : undefined, JSON.stringify({ env, cwd }));
  }
});

test('npmScript() recognizes every script of this package that runs a command', () => {
  const { scripts } = JSON.parse(fs.readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const commands = Object.entries(scripts).filter(([, text]) => /^(exec )?node scripts\/run\.cjs [a-z]/.test(text));
  assert.ok(commands.length > 10);
  for (const [name, text] of commands) {
    const [, words = ''] = /run\.cjs ([\w -]+)/.exec(text) ?? [];
    // With and without the shell's `exec`.
    for (const script of [text, text.replace(/^exec /, ''), `exec ${text.replace(/^exec /, '')} "$@"`]) {
      const env = { ...ENV, npm_lifecycle_event: name, npm_lifecycle_script: script };
      const args = words.trim().split(' ');
      assert.equal(userFolder(clone, args, env, clone), ENV.INIT_CWD, script);
      assert.deepEqual(npmScript(clone, args, env), { name, words: args }, script);
    }
  }
});

/** `~` before a path, wherever a path is given. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import type { Argument, Command, Option } from 'commander';
import { buildProgram } from '../src/cli/program.js';
import { SERVICES } from '../src/cli/services.js';
import { readConfigFile } from '../src/config/file.js';
import { cacheFolder, findLibrary } from '../src/native/install/library.js';
import { expandHome } from '../src/paths.js';
import { run } from './cli/stand-ins.js';

const home = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-home-'));
const before = { ...process.env };
process.env.HOME = home;
after(() => {
  Object.assign(process.env, before);
  fs.rmSync(home, { recursive: true, force: true });
});

test('expandHome() replaces only ~ by the home folder', () => {
  assert.equal(homedir(), home);
  for (const [path, whole] of [
    ['~', home],
    ['~/runs', join(home, 'runs')],
    ...['runs', './~', 'a/~/b', '/~', ''].map((same) => [same, same]),
  ] as const) {
    assert.equal(expandHome(path, '--out').replace(/\/$/, ''), whole.replace(/\/$/, ''));
  }
});

test("expandHome() refuses another user's home, but accepts an existing name that starts with ~", (t) => {
  const message = `Cannot use --out "~bob/runs": ~bob is another user's home, which is not looked up; write the path in full, or ./~bob/runs for a name that begins with ~`;
  assert.throws(() => expandHome('~bob/runs', '--out'), { name: 'ConfigError', message });
  const cwd = process.cwd();
  t.after(() => process.chdir(cwd));
  process.chdir(home);
  fs.writeFileSync('~backup.jpg', '');
  assert.equal(expandHome('~backup.jpg', 'the image'), '~backup.jpg');
});

test('expandHome() explains that there is no home folder', () => {
  process.env.HOME = '';
  try {
    const message =
      'Cannot use --out "~/runs": ~ is the home folder, and this user has none; set HOME, or write the path in full';
    assert.throws(() => expandHome('~/runs', '--out'), { name: 'ConfigError', message });
    assert.equal(expandHome('runs', '--out'), 'runs');
  } finally {
    process.env.HOME = home;
  }
});

/** What stands for a path in the help. */
const PATH = /folder|file|path|source|^run$/;

test('every option and argument that is a path may begin with ~', () => {
  const commands = (command: Command): Command[] => [command, ...command.commands.flatMap(commands)];
  const all = commands(buildProgram(SERVICES, () => {}));
  const wanted = (part: Option | Argument, text: string) => part.parseArg?.(text, undefined as never) as unknown;
  let paths = 0;
  for (const command of all) {
    for (const option of command.options) {
      const [, value] = /<(.*)>/.exec(option.flags) ?? [];
      // A new run's name is no path.
      if (value === undefined || !PATH.test(value)) continue;
      paths += 1;
      assert.equal(wanted(option, '~/x'), join(home, 'x'), `${command.name()} ${option.flags}`);
    }
    for (const argument of command.registeredArguments) {
      if (argument.argChoices) continue; // the name of a shell
      paths += 1;
      assert.equal(String(wanted(argument, '~/x')), join(home, 'x'), `${command.name()} ${argument.name()}`);
    }
  }
  assert.ok(paths > 25, `${paths}`);
});

test('train makes no folder named ~, neither for a flag nor for a config file', async () => {
  const settings = join(home, 'settings.json');
  fs.writeFileSync(settings, JSON.stringify({ out: '~/file', data: { source: '~/d', resize: 74 }, weights: '~/w' }));
  assert.deepEqual(readConfigFile(settings).values, {
    ...{ out: join(home, 'file'), weights: join(home, 'w') },
    data: { source: join(home, 'd'), resize: 74 },
  });
  const flag = await run(['train', '--out=~/flag', '--run', 'r']);
  assert.deepEqual([flag.exitCode, fs.readdirSync(join(home, 'flag'))], [0, ['r']]);
  const wrong = await run(['train', '--out=~nobody-here/flag', '--run', 'r']);
  assert.match(wrong.stderr.text, /^error: Cannot use --out "~nobody-here\/flag": ~nobody-here is another user's home/);
  assert.equal(wrong.exitCode, 2);
  fs.writeFileSync(settings, JSON.stringify({ out: '~bob/file' }));
  const { stderr } = await run(['train', '--config=~/settings.json']);
  assert.match(stderr.text, /^error: Cannot use out of .*settings\.json, "~bob\/file": ~bob is/);
  const named = await run(['train', '--out', home, '--run', '~']);
  assert.match(named.stderr.text, /^error: Cannot name the run "~": /);
  assert.equal(fs.existsSync('~'), false);
});

test('the variables that name folders may begin with ~', () => {
  const none = { ALEXNET_SPLIT_CACHE: '', XDG_CACHE_HOME: '', TENSORFLOW_DIR: '' };
  const set = (values: NodeJS.ProcessEnv) => Object.assign(process.env, none, values);
  set({ ALEXNET_SPLIT_CACHE: '~/c' });
  assert.equal(cacheFolder(), join(home, 'c'));
  set({ XDG_CACHE_HOME: '~/x' });
  assert.equal(cacheFolder(), join(home, 'x', 'alexnet-split'));
  set({ TENSORFLOW_DIR: '~/none' });
  assert.throws(() => findLibrary(false), { message: new RegExp(`the folder ${join(home, 'none')} does not exist`) });
  set({ TENSORFLOW_DIR: '~bob' });
  assert.throws(() => findLibrary(false), { message: /^Cannot use TENSORFLOW_DIR "~bob": ~bob is another/ });
});

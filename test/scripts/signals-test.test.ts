/** Stops trainings under npm in each way, and runs the job script of docs/reliability.md. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { faultsIn, IN_TERMINAL, SHELLS, stopOnce, until, WAYS } from '../../scripts/signals-test.js';
import { eventsIn } from '../../scripts/trainer.js';
import { fewImages, lenetFlags } from '../data/sets.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-npm-signals-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const data = fewImages(folder);
const [dash, bash] = SHELLS;

for (const [i, way] of WAYS.entries()) {
  // Ctrl-C came twice by way of bash; with dash what npm passed on, or the group got, ended the shell.
  const shell = way.signal === 'SIGINT' ? bash : dash;
  const skip = !fs.existsSync(shell) && `there is no ${shell}`;
  test(`npm run train:split ends as documented after ${way.name} under ${shell}`, {
    skip,
    timeout: 120_000,
  }, async () => {
    const trial = { way, shell, flags: ['--data', data], out: folder, run: `run${i}` };
    assert.deepEqual(await stopOnce(trial), []);
  });
}

test('every script of package.json replaces its shell', () => {
  const { scripts } = JSON.parse(fs.readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const [name, line] of Object.entries(scripts)) {
    const commands = line.split('&& ');
    assert.match(commands.pop()!, /^exec /, name);
    for (const before of commands) assert.doesNotMatch(before, /^exec /, `${name}: nothing comes after exec`);
  }
});

test('train saves and ends with 129 when its terminal is closed', { timeout: 120_000 }, async () => {
  const cli = fileURLToPath(new URL('../../src/cli.js', import.meta.url));
  fs.mkdirSync(join(folder, 'gone'));
  const single = ['--placement', 'single', '--devices', 'CPU:0'];
  const flags = [...lenetFlags(join(folder, 'gone')), ...single, '--no-check', '--steps', '1000000', '--out', folder];
  const args = [IN_TERMINAL, process.execPath, cli, 'train', ...flags, '--run', 'hangup'];
  const child = spawn('python3', args, { stdio: ['pipe', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (bytes) => {
    stderr += bytes;
  });
  const closed = once(child, 'close');
  const run = join(folder, 'hangup');
  assert.ok(
    await until(() => eventsIn(run).some((event) => event.event === 'train_step' && event.step === 3), 60_000),
    stderr,
  );
  child.stdin.write('close\n');
  await closed;
  assert.deepEqual(JSON.parse(stderr.trimEnd().split('\n').at(-1)!), { code: 129, left: [] });
  assert.deepEqual(faultsIn(run, 'SIGHUP'), []);
});

/** The page's lines, with stand-ins for SLURM's programs: `srun` makes a group of the step's processes. */
const JOB = /```\n(srun [\s\S]*?)```/.exec(fs.readFileSync(join(ROOT, 'docs', 'reliability.md'), 'utf8'))![1]!;
const STAND_INS = {
  'bin/srun': `#!/bin/sh
    exec python3 -c 'import os, sys; os.setsid(); open("group", "w").write(str(os.getpid())); os.execvp(sys.argv[1], sys.argv[1:])' "$@"`,
  'bin/scontrol': '#!/bin/sh\necho "$@" > scontrol-called',
  'node_modules/.bin/alexnet-split': `#!/usr/bin/env node
    const fs = require('node:fs');
    process.on('SIGUSR1', () => setTimeout(() => process.exit(138), 100));
    setTimeout(() => process.exit(Number(process.env.ENDS_WITH)), process.env.ENDS_WITH ? 0 : 60_000);
    fs.writeFileSync('ready', process.argv.slice(2).join(' '));`,
  'package.json': '{}',
};

for (const shell of SHELLS) {
  const skip = !fs.existsSync(shell) && `there is no ${shell}`;
  test(`the job in docs/reliability.md starts itself again under ${shell}`, { skip, timeout: 60_000 }, async () => {
    for (const [endsWith, code, called] of [
      ['', 138, 'requeue 4711\n'],
      ['0', 0, undefined],
      ['1', 1, undefined],
    ] as const) {
      const place = fs.mkdtempSync(join(folder, 'job-'));
      for (const [name, text] of Object.entries(STAND_INS)) {
        fs.mkdirSync(join(place, name, '..'), { recursive: true });
        fs.writeFileSync(join(place, name), text, { mode: 0o755 });
      }
      const env = {
        ...process.env,
        ...{ PATH: `${join(place, 'bin')}:${process.env.PATH}`, SLURM_JOB_ID: '4711', ENDS_WITH: endsWith },
      };
      const child = spawn(shell, ['-c', JOB], { cwd: place, env, stdio: 'ignore' });
      const ended = once(child, 'exit');
      const isReady = () => fs.existsSync(join(place, 'ready'));
      if (endsWith === '') {
        assert.ok(await until(isReady, 30_000));
        process.kill(-Number(fs.readFileSync(join(place, 'group'), 'utf8')), 'SIGUSR1');
      }
      assert.deepEqual(await ended, [code, null]);
      const note = join(place, 'scontrol-called');
      assert.equal(fs.existsSync(note) ? fs.readFileSync(note, 'utf8') : undefined, called);
      assert.equal(fs.readFileSync(join(place, 'ready'), 'utf8'), 'train --run big --resume auto');
    }
  });
}

/** Which script of npm's a command was started by, and which folder its user stands in. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { npmScript, userFolder } from '../../src/cli/npm-script.js';

const ROOT = new URL('../../../', import.meta.url);

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

test('userFolder() is where npm was started, of the command that a script of this clone started', () => {
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

test('every script of this package that runs a command is known by its words', () => {
  const { scripts } = JSON.parse(fs.readFileSync(new URL('package.json', ROOT), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const commands = Object.entries(scripts).filter(([, text]) => /^(exec )?node scripts\/run\.mjs [a-z]/.test(text));
  assert.ok(commands.length > 10);
  for (const [name, text] of commands) {
    const [, words = ''] = /run\.mjs ([\w -]+)/.exec(text) ?? [];
    // With and without the shell's `exec`.
    for (const script of [text, text.replace(/^exec /, ''), `exec ${text.replace(/^exec /, '')} "$@"`]) {
      const env = { ...ENV, npm_lifecycle_event: name, npm_lifecycle_script: script };
      const args = words.trim().split(' ');
      assert.equal(userFolder(clone, args, env, clone), ENV.INIT_CWD, script);
      assert.deepEqual(npmScript(clone, args, env), { name, words: args }, script);
    }
  }
});

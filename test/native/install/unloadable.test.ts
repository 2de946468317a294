/** Libraries that the system does not load: on a disk that is mounted noexec, or not installed. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { isNoexec } from '../../../src/addon.js';
import { withMount } from '../../namespaces.js';
import { ROOT, runNode } from '../child.js';
import { FRAMEWORK, TENSORFLOW } from './zip.js';

const temporary = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'alexnet-split-unloadable-')));
after(() => fs.rmSync(temporary, { recursive: true }));

/** The folder of an installed package. */
function folderOf(name: string): string {
  const folders = createRequire(import.meta.url)
    .resolve.paths(name)!
    .map((each) => join(each, name));
  return fs.realpathSync(folders.find((each) => fs.existsSync(each))!);
}

const KOFFI = folderOf('@koromix');
const CLI = join(ROOT, 'dist/src/cli.js');
const mounts = withMount(temporary, 'noexec');
const skip = 'skip' in mounts && mounts.skip;
const mounted = (folder: string, option: 'noexec' | 'empty') => withMount(folder, option) as string[];

/** A shared library for this machine. */
function someLibrary(): string {
  const all = fs.readdirSync(KOFFI, { recursive: true, encoding: 'utf8' });
  return join(KOFFI, all.find((each) => each.endsWith('.node') && !each.includes('musl'))!);
}

test('a library on a disk that is mounted noexec gives that reason, and not the advice to run setup', {
  skip,
}, async () => {
  const folder = join(temporary, 'tensorflow');
  for (const [mode, file] of [
    [0o755, FRAMEWORK],
    [0o644, TENSORFLOW],
  ] as const) {
    fs.mkdirSync(folder, { recursive: true });
    fs.copyFileSync(someLibrary(), join(folder, file));
    fs.chmodSync(join(folder, file), mode);
  }
  const env = { TENSORFLOW_DIR: folder, XLA_FLAGS: undefined };
  const { code, stderr } = await runNode([CLI, 'devices'], env, mounted(folder, 'noexec'));
  assert.equal(code, 1);
  const file = join(folder, FRAMEWORK);
  assert.ok(stderr.startsWith(`error: Cannot load ${file}: the system runs no code from its disk (${file}: `), stderr);
  const advice = 'which is probably mounted noexec; point TENSORFLOW_DIR at a copy on another disk, or have that disk';
  assert.ok(stderr.includes(advice), stderr);
  assert.doesNotMatch(stderr, /setup|\n./);
  assert.equal(isNoexec(file), false);
});

test('isNoexec() is only true for a file that everybody may run', { skip }, async () => {
  const folder = fs.mkdtempSync(join(temporary, 'files-'));
  for (const mode of [0o755, 0o644]) fs.writeFileSync(join(folder, mode.toString(8)), '', { mode });
  const program = `import { isNoexec } from ${JSON.stringify(new URL('../../../src/addon.js', import.meta.url).href)};
    for (const name of ['755', '644', 'none']) console.log(isNoexec(process.argv[1] + '/' + name));`;
  const args = ['--input-type=module', '--eval', program, folder];
  assert.equal((await runNode(args, {}, mounted(folder, 'noexec'))).stdout, 'true\nfalse\nfalse\n');
  assert.equal((await runNode(args)).stdout, 'false\nfalse\nfalse\n');
});

const cases = [
  [
    'noexec',
    /the system runs no code from the disk of \S+\.node, which is probably mounted noexec; put node_modules on/,
  ],
  ['empty', /, expected its binary for \S+; install the packages again, .*: npm install --include=optional$/],
] as const;

for (const [option, said] of cases) {
  test(`a ${option} disk with koffi gives one sentence, and commands without koffi work`, { skip }, async () => {
    const by = mounted(KOFFI, option);
    const { code, stdout, stderr } = await runNode([CLI, 'devices'], {}, by);
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /^error: Cannot call the system or TensorFlow: koffi does not load[^\n]*\n$/);
    assert.match(stderr.trimEnd(), said);
    assert.equal((await runNode([CLI, 'summary', '--net', 'lenet'], {}, by)).code, 0);
  });

  test(`a ${option} disk with sharp gives one sentence`, { skip }, async () => {
    const { href } = new URL('../../../src/data/images/decode.js', import.meta.url);
    const program = `import { readHeader } from ${JSON.stringify(href)};
      try { await readHeader(Buffer.alloc(9)); } catch (error) { process.stdout.write(error.name + ': ' + error.message); }`;
    const args = ['--input-type=module', '--eval', program];
    const { stdout } = await runNode(args, {}, mounted(folderOf('@img'), option));
    assert.match(stdout, /^DataError: Cannot decode images: sharp does not load[^\n]*$/);
    assert.match(stdout, said);
  });
}

/** Installing a clone's packages: settings of npm that leave packages out, disks without links, users without a home. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { folderOf } from '../data/sets.js';
import { withMount } from '../namespaces.js';
import { clone, FILES, npmCalls, ROOT, run, write } from './clones.js';

interface Packages {
  missingPackages(root: string): string[];
  npmCi(place: string): { command: string[]; env: NodeJS.ProcessEnv };
}
const { missingPackages, npmCi } = (await import(`file://${join(ROOT, 'scripts/packages.mjs')}`)) as Packages;

/** Sets variables until the test ends; undefined unsets. */
function setVariables(t: TestContext, values: Record<string, string | undefined>): void {
  const before = { ...process.env };
  t.after(() => {
    for (const name of Object.keys(values)) delete process.env[name];
    for (const name of Object.keys(values)) if (before[name] !== undefined) process.env[name] = before[name];
  });
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
}

const HERE = { os: [process.platform], cpu: [process.arch] };
const isMusl = !(process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } }).header
  .glibcVersionRuntime;
const [own, other] = isMusl ? ['musl', 'glibc'] : ['glibc', 'musl'];

test('missingPackages() returns the optional packages for this system, processor and C library only', (t) => {
  const root = folderOf(t, {});
  const optional = (entry: object) => ({ version: '1.0.0', optional: true, ...entry });
  const packages = {
    '': {},
    'node_modules/needed': { version: '1.0.0' },
    'node_modules/here': optional(HERE),
    'node_modules/here-libc': optional({ ...HERE, libc: [own] }),
    'node_modules/not-elsewhere': optional({ os: ['!aix'] }),
    'node_modules/other-libc': optional({ ...HERE, libc: [other] }),
    'node_modules/other-system': optional({ os: ['aix'], cpu: HERE.cpu }),
    'node_modules/other-processor': optional({ os: HERE.os, cpu: ['mips'] }),
    'node_modules/not-here': optional({ os: [`!${process.platform}`] }),
    'node_modules/of-another': optional({}),
  };
  const wanted = ['needed', 'here', ...(process.platform === 'linux' ? ['here-libc'] : []), 'not-elsewhere'];
  write(root, 'package-lock.json', JSON.stringify({ packages }));
  const paths = wanted.map((name) => `node_modules/${name}`);
  assert.deepEqual(missingPackages(root), paths);
  for (const path of paths) fs.mkdirSync(join(root, path), { recursive: true });
  assert.deepEqual(missingPackages(root), paths, "npm's own list has them not");
  write(root, 'node_modules/.package-lock.json', JSON.stringify({ packages }));
  assert.deepEqual(missingPackages(root), []);
  fs.rmdirSync(join(root, 'node_modules/here'));
  assert.deepEqual(missingPackages(root), ['node_modules/here']);
  // What is in the repository asks for the compiler's, sharp's and koffi's own binaries too.
  write(root, 'package-lock.json', fs.readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  const all = missingPackages(root).join();
  if (process.platform === 'linux' && process.arch === 'x64' && !isMusl)
    for (const name of ['@img/sharp-linux-x64', '@koromix/koffi-linux-x64', '@typescript/typescript-linux-x64'])
      assert.ok(all.includes(`node_modules/${name}`), name);
});

test('npmCi() overrides settings that leave packages out or install elsewhere, and keeps the others', (t) => {
  const settings = {
    ...{ NPM_CONFIG_OMIT: 'optional', npm_config_optional: 'false', NPM_CONFIG_WORKSPACE: 'x' },
    ...{ NPM_CONFIG_REGISTRY: 'https://mirror.example/', npm_config_cafile: '/etc/ca.pem' },
  };
  setVariables(t, { ...settings, npm_execpath: undefined });
  const { command, env } = npmCi(folderOf(t, {}));
  const flags = ['--include=dev', '--include=optional', '--no-dry-run', '--no-global', '--ignore-scripts'];
  for (const flag of flags) assert.ok(command.includes(flag), flag);
  assert.ok(!command.includes('--no-bin-links'));
  for (const name of ['NPM_CONFIG_OMIT', 'npm_config_optional', 'NPM_CONFIG_WORKSPACE']) assert.ok(!(name in env));
  assert.deepEqual([env.NPM_CONFIG_REGISTRY, env.npm_config_cafile], ['https://mirror.example/', '/etc/ca.pem']);
});

test('npmCi() provides a home for a user without one, and a cache for a user with a read-only home', (t) => {
  const place = folderOf(t, {});
  setVariables(t, { HOME: '', npm_config_cache: undefined, NPM_CONFIG_CACHE: undefined });
  assert.equal(npmCi(place).env.HOME, place); // npm would make a folder named ~
  t.mock.method(os, 'homedir', () => {
    throw new Error('A system error occurred: uv_os_homedir returned ENOENT');
  });
  assert.equal(npmCi(place).env.HOME, place);
  t.mock.method(os, 'homedir', () => '/home/someone');
  const unwritable = t.mock.method(fs, 'accessSync', () => {
    throw new Error('EACCES');
  });
  assert.equal(npmCi(place).env.npm_config_cache, join(place, 'cache'));
  setVariables(t, { npm_config_cache: '/their/own' });
  assert.equal(npmCi(place).env.npm_config_cache, '/their/own');
  unwritable.mock.restore();
});

const OPTIONAL = { version: '1.0.0', optional: true, ...HERE };
const LOCK = JSON.stringify({
  packages: { ...JSON.parse(FILES['package-lock.json']).packages, 'node_modules/binary': OPTIONAL },
});
/** Takes NPM_CONFIG_OMIT as npm does. */
const OMITTING = `#!/bin/sh
echo "$@" >> npm-calls
mkdir -p node_modules
[ -e node_modules/typescript ] || ln -s "${join(ROOT, 'node_modules', 'typescript')}" node_modules/typescript
list=package-lock.json
case "$NPM_CONFIG_OMIT $*" in
  optional*--include=optional*) mkdir -p node_modules/binary;;
  optional*) list=without-binary;;
  *) mkdir -p node_modules/binary;;
esac
[ -e leaves-out ] && list=without-binary
cp "$list" node_modules/.package-lock.json
`;

function cloneWithBinary(): string {
  const files = { 'package-lock.json': LOCK, 'without-binary': FILES['package-lock.json'] };
  const folder = clone(files);
  fs.writeFileSync(join(folder, 'bin/npm'), OMITTING, { mode: 0o755 });
  return folder;
}

test('run.mjs installs binaries despite NPM_CONFIG_OMIT, and repairs a clone that lacks them', async () => {
  const folder = cloneWithBinary();
  const env = { NPM_CONFIG_OMIT: 'optional' };
  // As somebody's own `npm ci` leaves it, and the stamp of an earlier version that says all is there.
  write(folder, 'node_modules/.package-lock.json', FILES['package-lock.json']);
  write(folder, 'node_modules/.alexnet-split-lock', 'all');
  const first = await run(folder, ['summary'], env);
  assert.deepEqual([first.code, first.stdout], [0, 'cli summary\n'], first.stderr);
  assert.ok(fs.existsSync(join(folder, 'node_modules/binary')));
  // By hand again, after a start that found all.
  fs.rmdirSync(join(folder, 'node_modules/binary'));
  write(folder, 'node_modules/.package-lock.json', FILES['package-lock.json']);
  const second = await run(folder, ['summary'], env);
  assert.equal(second.stderr, 'installing packages (npm ci)\n', 'and compiles nothing');
  assert.equal(npmCalls(folder).length, 2);
  assert.equal((await run(folder, ['summary'], env)).stderr, '');
});

test('run.mjs names the packages that npm left out, and does not count them as installed', async () => {
  const folder = cloneWithBinary();
  write(folder, 'leaves-out', '');
  for (let round = 0; round < 2; round++) {
    const { code, stderr } = await run(folder, ['summary']);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^installing .*\nerror: Cannot continue: npm ci left out 1 packages \(node_modules\/binary\); look for the setting/,
    );
  }
});

/** A disk without links and without modes, as exFAT, a folder shared by VirtualBox, or a bucket is. */
const NO_LINKS = `data:text/javascript,${encodeURIComponent(`
  import fs from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  for (const name of ['link', 'symlink', 'chmod', 'chown'])
    for (const each of [name, name + 'Sync']) fs[each] = () => {
      throw Object.assign(new Error('EPERM: operation not permitted, ' + name), { code: 'EPERM', syscall: name });
    };
  syncBuiltinESMExports();`)}`;

test('run.mjs sets up on a disk without hard and symbolic links', async () => {
  const folder = clone();
  const { code, stdout, stderr } = await run(folder, ['summary'], {}, ['--import', NO_LINKS]);
  assert.deepEqual([code, stdout, stderr], [0, 'cli summary\n', 'installing packages (npm ci)\ncompiling (tsc)\n']);
  assert.match(npmCalls(folder).join(), / --no-bin-links$/);
});

// `data split` copies where the disk has no links.
test('no source file but that of data split makes a hard link', () => {
  for (const place of ['src', 'scripts']) {
    for (const name of fs.readdirSync(join(ROOT, place), { recursive: true, encoding: 'utf8' })) {
      if (!/\.m?[jt]s$/.test(name) || name === join('data', 'split.ts')) continue;
      assert.doesNotMatch(fs.readFileSync(join(ROOT, place, name), 'utf8'), /\blink(Sync)?\(/, name);
    }
  }
});

const anyMount = withMount(ROOT, 'noexec');
test('run.mjs refuses a clone on a noexec disk before it installs', {
  skip: 'skip' in anyMount && anyMount.skip,
}, async () => {
  const folder = clone();
  const { code, stderr } = await run(folder, ['summary'], {}, [], withMount(folder, 'noexec') as string[]);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^error: Cannot set up this clone: the system runs no programs from the disk of \S+, which is probably mounted noexec; move the clone to another disk/,
  );
  assert.ok(!fs.existsSync(join(folder, 'npm-calls')));
});

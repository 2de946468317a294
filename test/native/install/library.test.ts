/** Finds the library in the folders of settings and in the cache, and checks the messages for unloadable ones. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os, { homedir, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { SetupError } from '../../../src/errors.js';
import { cacheFolder, cudaPreload, findLibrary } from '../../../src/native/install/library.js';
import { buildFor } from '../../../src/native/install/wheels.js';
import { runNode } from '../child.js';
import { FRAMEWORK, TENSORFLOW } from './zip.js';

const temporary = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-library-'));
after(() => fs.rmSync(temporary, { recursive: true }));

const NAMES = ['TENSORFLOW_DIR', 'ALEXNET_SPLIT_CACHE', 'XDG_CACHE_HOME', 'CUDA_VISIBLE_DEVICES', 'HOME'];
const before = NAMES.map((name) => process.env[name]);
afterEach(() => {
  for (const [i, name] of NAMES.entries()) set(name, before[i]);
});
let folders = 0;

function set(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}

/** A new folder with these files in it. */
function folderOf(files: Record<string, Uint8Array | string>): string {
  const folder = join(temporary, `${++folders}`);
  fs.mkdirSync(folder);
  for (const [path, bytes] of Object.entries(files)) {
    fs.mkdirSync(dirname(join(folder, path)), { recursive: true });
    fs.writeFileSync(join(folder, path), bytes);
  }
  return folder;
}

function librariesAt(path: string, bytes: Uint8Array | string = ''): Record<string, Uint8Array | string> {
  return { [join(path, FRAMEWORK)]: bytes, [join(path, TENSORFLOW)]: bytes };
}

function assertSetup(action: () => unknown, text: RegExp): void {
  assert.throws(action, (error: SetupError) => {
    assert.ok(error instanceof SetupError, String(error));
    assert.doesNotMatch(error.message, /\n|\. /); // one sentence
    assert.match(error.message, text);
    return true;
  });
}

test('cacheFolder() is set by variables, and is in the usual place for caches without them', () => {
  for (const name of NAMES) if (name !== 'HOME') set(name, undefined);
  const usual = process.platform === 'darwin' ? 'Library/Caches/alexnet-split' : '.cache/alexnet-split';
  assert.equal(cacheFolder(), join(homedir(), usual));
  set('XDG_CACHE_HOME', 'relative'); // which has to be ignored, by its specification
  assert.equal(cacheFolder(), join(homedir(), usual));
  set('XDG_CACHE_HOME', '/some/caches');
  assert.equal(cacheFolder(), '/some/caches/alexnet-split');
  set('ALEXNET_SPLIT_CACHE', 'relative');
  assert.equal(cacheFolder(), join(process.cwd(), 'relative'));
});

test('cacheFolder() uses the home in the list of users if HOME is empty or relative, and else says what to set', (t) => {
  const usual = process.platform === 'darwin' ? 'Library/Caches/alexnet-split' : '.cache/alexnet-split';
  for (const name of NAMES) set(name, undefined);
  for (const home of ['', 'relative']) {
    set('HOME', home);
    assert.equal(cacheFolder(), join(os.userInfo().homedir, usual));
  }
  t.mock.method(os, 'userInfo', () => {
    throw new Error('A system error occurred: uv_os_get_passwd returned ENOENT');
  });
  for (const [home, found] of [
    [undefined, 'HOME is not set'],
    ['', 'HOME is not set'],
    ['home', 'HOME is "home"'],
  ]) {
    set('HOME', home);
    t.mock.method(os, 'homedir', () => {
      if (home === undefined) throw new Error('A system error occurred: uv_os_homedir returned ENOENT');
      return home;
    });
    assertSetup(
      () => cacheFolder(),
      new RegExp(
        `^Cannot tell where the cache folder is: ${found}, and the system knows no home of user \\d+, expected a home folder; set ALEXNET_SPLIT_CACHE, XDG_CACHE_HOME or HOME to a folder that`,
      ),
    );
  }
});

test('findLibrary() needs no home folder if TENSORFLOW_DIR points at a library', (t) => {
  set('ALEXNET_SPLIT_CACHE', undefined);
  set('XDG_CACHE_HOME', undefined);
  const asked = t.mock.method(os, 'homedir', () => '/nowhere');
  set('TENSORFLOW_DIR', folderOf(librariesAt('')));
  assert.equal(findLibrary(true)?.source, 'TENSORFLOW_DIR');
  assert.equal(asked.mock.callCount(), 0);
});

test('findLibrary() takes TENSORFLOW_DIR at the folder itself, at site-packages, and at a C package', () => {
  for (const place of ['', 'tensorflow', 'lib']) {
    const folder = folderOf(librariesAt(place));
    set('TENSORFLOW_DIR', folder);
    const found = findLibrary(false);
    assert.equal(found?.tensorflow, join(folder, place, TENSORFLOW));
    assert.equal(found?.framework, join(folder, place, FRAMEWORK));
    assert.deepEqual([found?.source, found?.flavour], ['TENSORFLOW_DIR', 'unknown']);
  }
  const name = TENSORFLOW.replace('_cc', ''); // as a libtensorflow C package names it
  set('TENSORFLOW_DIR', folderOf({ [`lib/${FRAMEWORK}`]: '', [`lib/${name}`]: '' }));
  assert.equal(basename(findLibrary(false)?.tensorflow ?? ''), name);
});

test('findLibrary() finds the CUDA packages beside TensorFlow', () => {
  const cuda = {
    'nvidia/cudnn/lib/libcudnn.so.9': '',
    'nvidia/cublas/lib/libcublas.so.12': '',
    'nvidia/nvcc/bin/x': '',
  };
  const folder = folderOf({ ...librariesAt('tensorflow'), ...cuda });
  set('TENSORFLOW_DIR', folder);
  const found = findLibrary(true);
  assert.equal(found?.flavour, 'gpu');
  assert.deepEqual(found?.nvidiaFolders, [join(folder, 'nvidia/cublas/lib'), join(folder, 'nvidia/cudnn/lib')]);
});

test('findLibrary() refuses a TENSORFLOW_DIR without a library, and says what to do', () => {
  const empty = folderOf({});
  set('TENSORFLOW_DIR', empty);
  assertSetup(
    () => findLibrary(false),
    new RegExp(`the folder ${empty} has no TensorFlow library, expected .*unset it`),
  );
  set('TENSORFLOW_DIR', join(empty, 'nowhere'));
  assertSetup(() => findLibrary(false), /nowhere does not exist/);
  set('TENSORFLOW_DIR', folderOf({ [TENSORFLOW]: '' })); // half a library
  assertSetup(() => findLibrary(false), /has no TensorFlow library/);
});

test('findLibrary() takes the build from the cache that fits the machine', () => {
  const cache = folderOf({});
  set('TENSORFLOW_DIR', undefined);
  set('ALEXNET_SPLIT_CACHE', cache);
  assert.equal(findLibrary(false), undefined);
  const put = (flavour: 'cpu' | 'gpu') => {
    const place = join(cache, buildFor(process.platform, process.arch, flavour).folder, 'tensorflow');
    fs.mkdirSync(place, { recursive: true });
    for (const name of [FRAMEWORK, TENSORFLOW]) fs.writeFileSync(join(place, name), '');
  };
  put('cpu');
  assert.deepEqual([findLibrary(false)?.source, findLibrary(false)?.flavour], ['cache', 'cpu']);
  if (buildFor(process.platform, process.arch, 'gpu').flavour === 'cpu') return; // no GPU build for this machine
  assert.equal(findLibrary(true), undefined); // the CPU build would be slow without any message
  put('gpu');
  assert.deepEqual([findLibrary(true)?.flavour, findLibrary(false)?.flavour], ['gpu', 'cpu']);
});

test('cudaPreload() orders libraries after those that they need, and leaves out others', () => {
  const names = [
    'libcudnn.so.9',
    'libcudnn_ops.so.9',
    'libcublas.so.12',
    'libcublasLt.so.12',
    'libcudart.so.12',
    'libnvJitLink.so.12',
  ];
  const folder = folderOf(Object.fromEntries(names.map((name) => [name, ''])));
  const order = ['libcudart.so.12', 'libnvJitLink.so.12', 'libcublasLt.so.12', 'libcublas.so.12', 'libcudnn.so.9'];
  assert.deepEqual(
    cudaPreload([folder]).map((file) => basename(file)),
    order,
  );
  assert.deepEqual(cudaPreload([]), []);
});

/** What `openLibrary()` throws with each `TENSORFLOW_DIR`, in one process. */
async function loading(...folders: string[]): Promise<string[]> {
  const { href } = new URL('../../../src/native/c/load.js', import.meta.url);
  const program = `import { openLibrary } from ${JSON.stringify(href)};
    const thrown = process.argv.slice(1).map((folder) => {
      process.env.TENSORFLOW_DIR = folder;
      try { openLibrary(); } catch (error) { return error.name + ': ' + error.message; }
    });
    process.stdout.write(JSON.stringify(thrown));`;
  const ended = await runNode(['--input-type=module', '--eval', program, ...folders]);
  assert.deepEqual([ended.code, ended.signal], [0, null], ended.stderr);
  return JSON.parse(ended.stdout);
}

test('openLibrary() says that a library is for another processor, or that a file is not a library', async () => {
  const other = 'it is built for another kind of machine, expected a library for';
  const noLibrary = 'it is not a shared library of this system';
  const foreign = process.platform === 'darwin' ? foreignMachO() : foreignElf();
  const cases: [Uint8Array | string, string][] = [
    ...foreign.map((bytes): [Uint8Array, string] => [bytes, other]),
    ['<html>not found</html>'.repeat(10), noLibrary],
    ['short', noLibrary],
  ];
  const folders = cases.map(([bytes]) => folderOf(librariesAt('', bytes)));
  for (const [i, said] of (await loading(...folders)).entries()) {
    const start = `SetupError: Cannot load ${join(folders[i]!, FRAMEWORK)}: ${cases[i]![1]}`;
    assert.ok(said.startsWith(start), said);
    assert.match(said, /; point TENSORFLOW_DIR at a library for this machine, or unset it and run/);
  }
});

/** The headers of a 64-bit and of a 32-bit library for other processors (gabi4+, chapter 4). */
function foreignElf(): Buffer[] {
  const [ARM, AARCH64, X86_64] = [40, 183, 62];
  return [
    [2, process.arch === 'arm64' ? X86_64 : AARCH64],
    [1, ARM],
  ].map(([wordClass, machine]) => {
    const header = Buffer.alloc(64);
    header.write('\x7fELF', 'latin1');
    header.set([wordClass!, 1, 1], 4); // little-endian, version 1
    header.writeUInt16LE(3, 16); // a shared object
    header.writeUInt16LE(machine!, 18);
    header.writeUInt32LE(1, 20); // version 1
    return header;
  });
}

/** The header of a library for the processor that this Mac does not have (mach-o/loader.h). */
function foreignMachO(): Buffer[] {
  const header = Buffer.alloc(4096);
  header.writeUInt32LE(0xfeedfacf, 0);
  header.writeUInt32LE(process.arch === 'arm64' ? 0x01000007 : 0x0100000c, 4);
  header.writeUInt32LE(6, 12); // MH_DYLIB
  return [header];
}

test('openLibrary() says to delete a cached library that cannot be loaded', async () => {
  const cache = folderOf({});
  const { folder } = buildFor(process.platform, process.arch, 'cpu');
  for (const [path, bytes] of Object.entries(librariesAt(join(cache, folder, 'tensorflow'), 'broken'))) {
    fs.mkdirSync(dirname(path), { recursive: true });
    fs.writeFileSync(path, bytes);
  }
  set('ALEXNET_SPLIT_CACHE', cache);
  set('CUDA_VISIBLE_DEVICES', '');
  const [said] = await loading('');
  assert.match(
    said!,
    new RegExp(
      `^SetupError: Cannot load .*; delete the folder ${join(cache, folder)}, and run \`alexnet-split setup\``,
    ),
  );
});

const hasCompiler = spawnSync('cc', ['--version']).status === 0;
test('openLibrary() says how many functions a library lacks', {
  skip: !hasCompiler && 'there is no C compiler (cc) to make a library with',
}, async () => {
  const folder = folderOf({ 'empty.c': 'const char *TF_Version(void) { return "1.15"; }' });
  for (const name of [FRAMEWORK, TENSORFLOW]) {
    const { status } = spawnSync('cc', ['-shared', '-fPIC', '-o', join(folder, name), join(folder, 'empty.c')]);
    assert.equal(status, 0);
  }
  const [said] = await loading(folder);
  assert.match(
    said!,
    /^SetupError: Cannot use .*: it lacks \d+ functions of TensorFlow's C API \(TF_NewStatus, .*; use TensorFlow 2\.21/,
  );
});

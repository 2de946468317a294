/** Finding the library: settings, the cache, what a folder holds, and for which machine it is. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os, { homedir, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { SetupError } from '../../../src/errors.js';
import { cacheFolder, checkArchitecture, cudaPreload, findLibrary } from '../../../src/native/install/library.js';
import { buildFor } from '../../../src/native/install/wheels.js';
import { runNode } from '../child.js';
import { FRAMEWORK, libraryHeader, TENSORFLOW } from './zip.js';

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

function librariesAt(path: string, header = libraryHeader()): Record<string, Uint8Array> {
  return { [join(path, FRAMEWORK)]: header, [join(path, TENSORFLOW)]: header };
}

function assertSetup(action: () => unknown, text: RegExp): void {
  assert.throws(action, (error: SetupError) => {
    assert.ok(error instanceof SetupError, String(error));
    assert.doesNotMatch(error.message, /\n|\. /); // one sentence
    assert.match(error.message, text);
    return true;
  });
}

test('cacheFolder() is where the settings say, else where the system keeps caches', () => {
  for (const name of NAMES) if (name !== 'HOME') set(name, undefined);
  const usual = process.platform === 'darwin' ? 'Library/Caches/alexnet-split' : '.cache/alexnet-split';
  assert.equal(cacheFolder(), join(homedir(), usual));
  set('XDG_CACHE_HOME', 'relative'); // its specification has such a one ignored
  assert.equal(cacheFolder(), join(homedir(), usual));
  set('XDG_CACHE_HOME', '/some/caches');
  assert.equal(cacheFolder(), '/some/caches/alexnet-split');
  set('ALEXNET_SPLIT_CACHE', 'relative');
  assert.equal(cacheFolder(), join(process.cwd(), 'relative'));
});

test('cacheFolder() takes the home of the list of users where HOME is empty or relative, and else says what to set', (t) => {
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

test('findLibrary() asks for no home where TENSORFLOW_DIR points at a library', (t) => {
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
  set('TENSORFLOW_DIR', folderOf({ [`lib/${FRAMEWORK}`]: libraryHeader(), [`lib/${name}`]: libraryHeader() }));
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
  assertSetup(() => findLibrary(false), /nowhere is not there/);
  set('TENSORFLOW_DIR', folderOf({ [TENSORFLOW]: libraryHeader() })); // half a library
  assertSetup(() => findLibrary(false), /has no TensorFlow library/);
});

test('findLibrary() refuses a library for another processor, and a file that is none', () => {
  const other = process.arch === 'arm64' ? 'x64' : 'arm64';
  set('TENSORFLOW_DIR', folderOf(librariesAt('', libraryHeader(other))));
  const named = { x64: 'x86-64', arm64: 'aarch64' }[other];
  assertSetup(
    () => findLibrary(false),
    new RegExp(`it is built for ${named} .*, this machine is .*; point TENSORFLOW_DIR`),
  );
  set('TENSORFLOW_DIR', folderOf(librariesAt('', Buffer.from('<html>not found</html>, with enough bytes'))));
  assertSetup(() => findLibrary(false), /it is not a shared library/);
  set('TENSORFLOW_DIR', folderOf(librariesAt('', Buffer.from('short'))));
  assertSetup(() => findLibrary(false), /it is not a shared library/);
  assertSetup(() => checkArchitecture(join(temporary, 'nothing')), /Cannot read .*ENOENT/);
  checkArchitecture(process.execPath); // Node.js itself is for this machine
});

test('findLibrary() takes from the cache what fits the machine', () => {
  const cache = folderOf({});
  set('TENSORFLOW_DIR', undefined);
  set('ALEXNET_SPLIT_CACHE', cache);
  assert.equal(findLibrary(false), undefined);
  const put = (flavour: 'cpu' | 'gpu') => {
    const place = join(cache, buildFor(process.platform, process.arch, flavour).folder, 'tensorflow');
    fs.mkdirSync(place, { recursive: true });
    for (const name of [FRAMEWORK, TENSORFLOW]) fs.writeFileSync(join(place, name), libraryHeader());
  };
  put('cpu');
  assert.deepEqual([findLibrary(false)?.source, findLibrary(false)?.flavour], ['cache', 'cpu']);
  if (buildFor(process.platform, process.arch, 'gpu').flavour === 'cpu') return; // no GPU build for this machine
  assert.equal(findLibrary(true), undefined); // the CPU build would be slow in silence
  put('gpu');
  assert.deepEqual([findLibrary(true)?.flavour, findLibrary(false)?.flavour], ['gpu', 'cpu']);
});

test('cudaPreload() orders libraries after those that they need, and leaves others out', () => {
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

/** What loading says, in a process of its own. */
async function loading(TENSORFLOW_DIR: string): Promise<string> {
  const { href } = new URL('../../../src/native/c/load.js', import.meta.url);
  const program = `import { openLibrary } from ${JSON.stringify(href)};
    try { openLibrary(); } catch (error) { process.stdout.write(error.name + ': ' + error.message); }`;
  const ended = await runNode(['--input-type=module', '--eval', program], { TENSORFLOW_DIR });
  assert.deepEqual([ended.code, ended.signal], [0, null], ended.stderr);
  return ended.stdout;
}

test('openLibrary() tells a file that cannot be loaded', async () => {
  const said = await loading(folderOf(librariesAt('')));
  assert.match(
    said,
    /^SetupError: Cannot load .*libtensorflow_framework.*; run `alexnet-split setup` to fetch a working copy/,
  );
});

const hasCompiler = spawnSync('cc', ['--version']).status === 0;
test('openLibrary() tells how many functions a library lacks', {
  skip: !hasCompiler && 'there is no C compiler (cc) to make a library with',
}, async () => {
  const folder = folderOf({ 'empty.c': 'const char *TF_Version(void) { return "1.15"; }' });
  for (const name of [FRAMEWORK, TENSORFLOW]) {
    const { status } = spawnSync('cc', ['-shared', '-fPIC', '-o', join(folder, name), join(folder, 'empty.c')]);
    assert.equal(status, 0);
  }
  const said = await loading(folder);
  assert.match(
    said,
    /^SetupError: Cannot use .*: it lacks \d+ functions of TensorFlow's C API \(TF_NewStatus, .*; use TensorFlow 2\.21/,
  );
});

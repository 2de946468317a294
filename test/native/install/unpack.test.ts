/** Unpacks archives that the tests make. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import zlib from 'node:zlib';
import { unpack } from '../../../src/native/install/unpack.js';
import { isKept } from '../../../src/native/install/wheels.js';
import { writeZip, type ZipEntry } from './zip.js';

const temporary = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-unpack-'));
after(() => fs.rmSync(temporary, { recursive: true }));
let archives = 0;

const all = () => true;
const bytes = Buffer.from('some bytes');

function zipOf(...entries: ZipEntry[]): { archive: string; folder: string } {
  const archive = join(temporary, `${++archives}.whl`);
  writeZip(archive, entries);
  return { archive, folder: join(temporary, `${archives}`) };
}

test('unpack() writes only the kept files, to the same paths', async () => {
  const big = Buffer.alloc(300_000, 'library');
  const { archive, folder } = zipOf(
    { path: 'tensorflow/libtensorflow_cc.so.2', bytes: big },
    { path: 'nvidia/cuda_nvcc/bin/ptxas', bytes, mode: 0o755 },
    { path: 'tensorflow/python/ops.py', bytes },
  );
  const paths = await unpack(archive, folder, isKept);
  assert.deepEqual(paths, ['tensorflow/libtensorflow_cc.so.2', 'nvidia/cuda_nvcc/bin/ptxas']);
  assert.deepEqual(fs.readFileSync(join(folder, paths[0]!)), big);
  assert.equal(fs.statSync(join(folder, paths[0]!)).mode & 0o111, 0);
  assert.equal(fs.statSync(join(folder, paths[1]!)).mode & 0o777, 0o755 & ~process.umask());
  assert.equal(fs.existsSync(join(folder, 'tensorflow/python')), false);
});

const skip = !zlib.crc32 && 'zlib.crc32() came with Node.js 20.15; before, only pip checks the wheel';
test('unpack() refuses a wrong checksum, and names the file', { skip }, async () => {
  const { archive, folder } = zipOf({ path: 'good', bytes }, { path: 'bad', bytes, crc: 7 });
  await assert.rejects(unpack(archive, folder, all), /the checksum of bad is wrong/);
});

test('unpack() refuses paths that leave the folder', async () => {
  for (const path of ['../evil', 'a/../../evil', '/evil']) {
    const { archive, folder } = zipOf({ path, bytes });
    await assert.rejects(unpack(archive, join(folder, 'inner'), all), /relative path|absolute path/);
    assert.equal(fs.existsSync(join(folder, 'evil')), false);
  }
});

test('unpack() refuses a path that exists already', async () => {
  const { archive, folder } = zipOf({ path: 'same', bytes }, { path: 'same', bytes });
  await assert.rejects(unpack(archive, folder, all), { code: 'EEXIST' });
});

test('unpack() refuses a truncated archive', async () => {
  const { archive, folder } = zipOf({ path: 'a', bytes });
  fs.truncateSync(archive, fs.statSync(archive).size - 30);
  await assert.rejects(unpack(archive, folder, all), Error);
});

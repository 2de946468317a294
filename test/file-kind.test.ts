/** Placeholders of files, and files of other programs, wherever a file is read. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { manifestText } from '../src/checkpoint/contents.js';
import { checkpointsFolder, readCheckpoint } from '../src/checkpoint/store.js';
import { readConfigFile } from '../src/config/file.js';
import { PRESETS } from '../src/config/presets.js';
import { loadDataset, openImages } from '../src/data/index.js';
import { readLabels } from '../src/data/sets/val-labels.js';
import { CONVERSIONS, describeMissing, describePlaceholder, describeWeightsFile } from '../src/file-kind.js';
import { verifyGolden } from '../src/train/index.js';
import { loadStartingWeights } from '../src/train/starting-weights.js';
import { run } from './cli/stand-ins.js';
import { fourFiles } from './data/sets.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-kind-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const POINTER = `version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 244408911
`;
const LFS =
  'it is a Git LFS pointer, a small text file instead of the file itself: `git lfs pull` in its folder brings the file';

test('describePlaceholder() recognizes placeholders of files', () => {
  const annex = 'it is a pointer of git-annex instead of the file: `git annex get x` in its folder brings the file';
  assert.equal(describePlaceholder(POINTER), LFS);
  assert.equal(describePlaceholder(Buffer.from(POINTER)), LFS);
  assert.equal(describePlaceholder('/annex/objects/SHA256E-s5--ab.jpg\n', 'd/x'), annex);
  assert.equal(describePlaceholder('../.git/annex/objects/aa/bb/SHA256E-s5--ab/SHA256E-s5--ab', 'd/x'), annex);
  for (const page of ['<!DOCTYPE html>\n<html>', '\n <html lang="en">'])
    assert.match(describePlaceholder(page)!, /HTML page/);
  for (const other of ['', 'version 1', '{}', '\u0089PNG']) assert.equal(describePlaceholder(other), undefined);
});

const zip = (entry: string) => Buffer.concat([Buffer.from('PK\u0003\u0004'), Buffer.alloc(26), Buffer.from(entry)]);

test('import recognizes files of other formats, and prints the command that converts them to safetensors', async () => {
  const cases: [name: string, bytes: Buffer, said: RegExp][] = [
    [
      'pointer.safetensors',
      Buffer.from(POINTER),
      /: it is a Git LFS pointer, .*`git lfs pull`.*; choose a safetensors/,
    ],
    ['page.safetensors', Buffer.from(`<!DOCTYPE html>${' '.repeat(90)}`), /: it is an HTML page instead of the file/],
    ['net.pt', zip('net/data.pkl'), /: it is a file of PyTorch: `python3 -c ".*" \S*\/net\.pt net\.safetensors`/],
    ['old.pth', Buffer.from(`8002${'8a0a6cfc9c46f9206aa8501'}9${'00'.repeat(20)}`, 'hex'), /: it is a file of PyTorch/],
    ['net.npz', zip('conv1.weight.npy'), /: it is a file of NumPy: `python3 -c ".*" \S*\/net\.npz/],
    ['a.npy', Buffer.from('\x93NUMPY\x01\x00v\x00', 'latin1'), /: it is one array of NumPy/],
    ['net.h5', Buffer.from('\x89HDF\r\n\x1a\n00000000', 'latin1'), /: it is an HDF5 file, .*docs\/weights\.md/],
    ['net.onnx', Buffer.from('\x08\x08\x12\x07pytorch\x1a\x05', 'latin1'), /: it is a file of ONNX: `python3 -c/],
    [
      'net.caffemodel',
      Buffer.from('\x0a\x07AlexNet\x12\x05', 'latin1'),
      /: it is not a safetensors file: docs\/weights/,
    ],
    [
      'index.json',
      Buffer.from(JSON.stringify({ metadata: {}, weight_map: {} })),
      /: it is not a safetensors file: docs/,
    ],
    ['net.zip', zip('readme'), /: it is a zip archive: unpack it first/],
    [
      'net.safetensors.gz',
      Buffer.from('1f8b08000000000000', 'hex'),
      /: it is compressed: `gunzip \S*\/net\.safetensors\.gz`/,
    ],
    ['noise.safetensors', Buffer.alloc(64, 'x'), /: its header is longer than the file; /],
  ];
  for (const [name, bytes, said] of cases) {
    const file = join(folder, name);
    fs.writeFileSync(file, bytes);
    const { exitCode, stderr } = await run(['import', file, '--out', folder, '--run', 'r', '--preset', 'lenet']);
    assert.deepEqual([exitCode, stderr.lines.length, stderr.text.includes('(this is a bug')], [1, 1, false]);
    assert.match(stderr.text, said);
  }
});

test('a broken link gets a message that says how to get the file', () => {
  const [plain, annexed] = [join(folder, 'plain'), join(folder, 'annexed')];
  fs.symlinkSync('nowhere', plain);
  fs.symlinkSync('.git/annex/objects/aa/bb/SHA256E-s5--ab', annexed);
  assert.equal(describeMissing(plain), 'it is a link to nowhere, which is not there');
  assert.match(describeMissing(annexed), /`git annex get annexed`/);
  assert.equal(describeMissing(join(folder, 'none')), 'it is not there');
});

test('every command recognizes a pointer that it reads instead of a file', async () => {
  const pointer = (...path: string[]) => {
    fs.mkdirSync(join(folder, ...path, '..'), { recursive: true });
    fs.writeFileSync(join(folder, ...path), POINTER);
    return join(folder, ...path);
  };
  const told = { message: /it is a Git LFS pointer, .*`git lfs pull`/ };
  assert.throws(() => readConfigFile(pointer('config.json')), told);
  await assert.rejects(verifyGolden(pointer('golden.json'), {} as never), told);
  for (const [name, bytes] of Object.entries(fourFiles())) fs.writeFileSync(join(folder, name), bytes);
  pointer('train-images-idx3-ubyte');
  assert.throws(() => loadDataset(folder, 3), told);
  pointer('packed', 'dataset.json');
  assert.throws(() => openImages(join(folder, 'packed')), told);
  pointer('images', 'train', 'a', '1.jpg');
  for (const path of ['train/b/1.jpg', 'val/a/1.jpg', 'val/b/1.jpg']) pointer('images', ...path.split('/'));
  const checked = await run(['data', 'check', join(folder, 'images'), '--report', join(folder, 'report.json')]);
  assert.match(checked.stdout.text, /^ {2}train\/a\/1\.jpg: it is not a JPEG.* image: it is a Git LFS pointer/m);
  assert.throws(() => readLabels(pointer('val.txt'), ['a', 'b'], ['1.jpg']), told);
  const checkpoint = join(checkpointsFolder(folder), '0000000001');
  fs.mkdirSync(checkpoint, { recursive: true });
  const files = ['state.json', 'tower-0-of-1.safetensors'].map((name) => ({ name, bytes: 9, sha256: 'a'.repeat(64) }));
  fs.writeFileSync(join(checkpoint, 'manifest.json'), manifestText({ format: 1, step: 1, files }));
  for (const { name } of files) fs.writeFileSync(join(checkpoint, name), POINTER);
  assert.throws(() => readCheckpoint(checkpoint), told);
  const lenet = { net: PRESETS.lenet.net };
  await assert.rejects(loadStartingWeights([], pointer('net.pth'), lenet), told);
  await assert.rejects(loadStartingWeights([], pointer('net.safetensors'), lenet), told);
});

test('a command to copy has the path as given, as one word of a shell, and never as an option', () => {
  const gzip = Buffer.from('1f8b0800', 'hex');
  const name = "d/$(touch 'x').gz";
  const lines = [
    describeWeightsFile(gzip, name),
    describeWeightsFile(zip('net/data.pkl'), name),
    describePlaceholder('/annex/objects/a', name),
  ];
  assert.match(lines[0]!, /`gunzip 'd\/\$\(touch '\\''x'\\''\)\.gz'`/);
  assert.match(lines[1]!, /" 'd\/\$\(touch '\\''x'\\''\)\.gz' net\.safetensors`/);
  assert.match(lines[2]!, /`git annex get '\$\(touch '\\''x'\\''\)\.gz'` in its folder/);
  assert.match(describeWeightsFile(gzip, '-rf')!, /`gunzip \.\/-rf`/);
  assert.match(describePlaceholder('/annex/objects/a', 'd/~x')!, /`git annex get \.\/~x`/);
});

const noPython = spawnSync('python3', ['--version']).status === 0 ? false : 'there is no python3 here';

test('the commands that convert are Python, and fit between double quotes', { skip: noPython }, () => {
  const compile = 'import sys; [compile(each, "line", "exec") for each in sys.argv[1:]]';
  assert.equal(spawnSync('python3', ['-c', compile, ...Object.values(CONVERSIONS)]).status, 0);
  for (const line of Object.values(CONVERSIONS)) assert.doesNotMatch(line, /["$`\\!]/);
  assert.match(describeWeightsFile(zip('archive/data.pkl'), '/a/b.ckpt')!, / \/a\/b\.ckpt net\.safetensors`/);
});

test("the command for PyTorch finds the net's tensors anywhere in a checkpoint", { skip: noPython }, () => {
  // Stand-ins for the packages: what would be written is printed.
  const standIns = `import sys, types
torch, safetensors, files = (types.ModuleType(each) for each in ('torch', 'safetensors', 'safetensors.torch'))
sys.modules.update({'torch': torch, 'safetensors': safetensors, 'safetensors.torch': files})
class Tensor:
  clone = contiguous = lambda self: self
t = Tensor()
net, adam = {'conv1.weight': t, 'conv1.bias': t, 'count': 3}, {'state': {0: {'exp_avg': t}}, 'param_groups': []}
torch.is_tensor = lambda value: isinstance(value, Tensor)
torch.load = lambda *_, **__: given
files.save_file = lambda tensors, name: print(*tensors)
for given in [net, {'state_dict': net, 'best': t, 'optimizer': adam}, {'optimizer': adam, 'rng': {'cpu': t}, 'model': net},
    {'epoch': 3, 'model_state_dict': net, 'optimizer_state_dict': adam}]:
  exec(sys.argv[1].replace('sys.argv[1]', 'None').replace('sys.argv[2]', 'None'))
`;
  const { stdout, stderr } = spawnSync('python3', ['-c', standIns, CONVERSIONS.PyTorch], { encoding: 'utf8' });
  assert.deepEqual([stdout, stderr], ['conv1.weight conv1.bias\n'.repeat(4), '']);
});

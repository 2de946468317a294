import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { CASES, type CaseName, writeCase } from '../../scripts/pytorch-cases.js';
import { type Entry, openTensors, writeTensors } from '../../src/checkpoint/safetensors.js';
import { withTensors } from '../../src/checkpoint/weights-files.js';
import { CheckpointError } from '../../src/errors.js';
import { buildNet, parametersOf } from '../../src/model/net.js';
import { type ChannelOrder, openImport, settingsIn, torchvisionClasses, writeRun } from '../../src/weights/import.js';
import { sparseFile, torchvisionTensors } from './sparse-file.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-import-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));
const NET = buildNet(CASES.original);
const { towers, exported } = writeCase(folder, 'original');

/** The exported file with other names, and shapes, or without tensors for which there is no name. */
function renamed(
  file: string,
  nameOf: (name: string) => string | undefined,
  shapeOf = (shape: Entry['shape']) => shape,
) {
  const source = openTensors(exported);
  const entries = source.entries.flatMap(({ name, shape }) => {
    const other = nameOf(name);
    return other === undefined ? [] : [{ name: other, shape: shapeOf(shape), from: name, was: shape }];
  });
  writeTensors(file, entries, {}, ({ name }, bytes) => {
    const { from, was } = entries.find((each) => each.name === name)!;
    bytes.set(new Uint8Array(source.read(from, was).buffer).subarray(0, bytes.length));
  });
  source.close();
  return file;
}

/** The parameters of the run that an import of the file makes. */
function imported(file: string, count: 1 | 2 = 2, order: ChannelOrder = 'rgb', net = NET) {
  const into = fs.mkdtempSync(join(folder, 'run-'));
  const source = openImport(file, net, order);
  writeRun(source, net, into, count, { net: 'original' });
  source.close();
  const files = fs.readdirSync(into).map((name) => join(into, name));
  return { files, values: valuesOf(files, net) };
}

function valuesOf(files: readonly string[], net = NET): Map<string, Float32Array> {
  return withTensors(files, (source) => {
    return new Map(parametersOf(net).map(({ name, shape }) => [name, source.read(name, shape)]));
  });
}

function refusal(file: string): string {
  try {
    openImport(file, NET, 'rgb').close();
  } catch (error) {
    assert.ok(error instanceof CheckpointError && error.path === file, String(error));
    return error.message;
  }
  return assert.fail('it was taken');
}

for (const name of Object.keys(CASES) as CaseName[]) {
  test(`openImport() returns the bits that exportWeights() wrote, for ${name}`, () => {
    const made = writeCase(folder, name);
    const net = buildNet(CASES[name]);
    const expected = valuesOf(made.towers, net);
    const split = imported(made.exported, 2, 'rgb', net);
    assert.deepEqual(split.values, expected);
    const names = made.towers.map((file) => file.split('/').at(-1));
    assert.deepEqual(split.files.map((file) => file.split('/').at(-1)).sort(), names);
    for (const [i, file] of split.files.sort().entries()) {
      const [ours, theirs] = [openTensors(file), openTensors(made.towers[i]!)];
      assert.deepEqual(ours.entries, theirs.entries);
      ours.close();
      theirs.close();
    }
    const single = imported(made.exported, 1, 'rgb', net);
    assert.deepEqual([single.values, single.files.length], [expected, 1]);
  });
}

test('openImport() accepts the names of torchvision, DataParallel, Caffe and Caffe2', () => {
  const expected = valuesOf(towers);
  const modules: Record<string, string> = {
    ...{ conv1: 'features.0', conv2: 'features.4', conv3: 'features.8', conv4: 'features.10', conv5: 'features.12' },
    ...{ fc6: 'classifier.1', fc7: 'classifier.4', fc8: 'classifier.6' },
  };
  const styles: [string, (layer: string, role: string) => string][] = [
    ['torchvision', (layer, role) => `${modules[layer]}.${role}`],
    ['parallel', (layer, role) => `${modules[layer]!.replace('features', 'features.module')}.${role}`],
    ['parallel-own', (layer, role) => `module.${layer}.${role}`],
    ['caffe', (layer, role) => `${layer}.${role === 'weight' ? 0 : 1}`],
    ['caffe2', (layer, role) => `${layer}_${role[0]}`],
    ['slash', (layer, role) => `${layer}/${role}`],
  ];
  for (const [style, nameOf] of styles) {
    const file = renamed(join(folder, `${style}.safetensors`), (name) => {
      const [layer, role] = name.split('.');
      return nameOf(layer!, role!);
    });
    assert.deepEqual(imported(file).values, expected, style);
  }
});

test("openImport() accepts old Caffe's shapes with four dimensions, and BGR channels", () => {
  const four = (shape: readonly number[]) => [...Array(4 - shape.length).fill(1), ...shape];
  const file = renamed(join(folder, 'caffe4.safetensors'), (name) => name, four);
  const { values } = imported(file, 2, 'bgr');
  const expected = valuesOf(towers);
  for (const [name, ours] of expected) {
    if (!name.endsWith('conv1/kernel')) assert.deepEqual(values.get(name), ours, name);
    // [11, 11, 3, 3]: the outputs of a colour stand side by side.
    else {
      const swapped = ours.map((_, i) => ours[Math.floor(i / 9) * 9 + (2 - (Math.floor(i / 3) % 3)) * 3 + (i % 3)]!);
      assert.deepEqual(values.get(name), swapped, name);
      assert.notDeepEqual(swapped, ours);
    }
  }
});

test('openImport() lists the tensors that are missing, unexpected, or of another shape', () => {
  const file = renamed(
    join(folder, 'wrong.safetensors'),
    (name) => (name === 'conv2.bias' ? 'bn2.running_mean' : name === 'fc8.weight' ? undefined : name),
    (shape) => (shape.length === 4 && shape[0] === 6 ? [4, ...shape.slice(1)] : shape),
  );
  const message = refusal(file);
  assert.ok(message.startsWith(`Cannot import ${file} into the net original: `));
  assert.ok(message.includes('the file lacks conv2.bias, fc8.weight; the net has no bn2.running_mean;'), message);
  assert.ok(message.includes('of another shape: conv1.weight is [4,3,11,11] and [6,3,11,11] in the net;'), message);
  const lenet = writeCase(folder, 'lenet').exported;
  assert.match(refusal(lenet), /the file lacks conv3\.weight.*; the net has no fc3\.weight.*; of another shape: conv1/);
});

test('openImport() refuses a second name of a tensor', () => {
  const both = openTensors(exported);
  const file = join(folder, 'twice.safetensors');
  const entries = [...both.entries, { name: 'module.conv1.bias', shape: [6] }];
  writeTensors(file, entries, {}, ({ name, shape }, bytes) => {
    if (name !== 'module.conv1.bias') bytes.set(new Uint8Array(both.read(name, shape).buffer));
  });
  both.close();
  assert.match(refusal(file), /: the net has no module\.conv1\.bias; choose/);
});

test('settingsIn() returns the settings of net and images of an exported file, and refuses a later version', () => {
  assert.deepEqual(settingsIn(exported), { data: {} });
  assert.equal(settingsIn(renamed(join(folder, 'plain.safetensors'), (name) => name)), undefined);
  const bold = {
    preset: 'mini',
    out: '/etc',
    run: 'passwd',
    net: { width: 2 },
    data: { source: '/', workers: 9, scale: 3 },
  };
  const own = join(folder, 'bold.safetensors');
  writeTensors(own, [], { alexnet_split: JSON.stringify({ version: 1, settings: bold }) }, () => {});
  assert.deepEqual(settingsIn(own), { preset: 'mini', net: { width: 2 }, data: { scale: 3 } });
  for (const [text, found] of [
    ['{"version":2,"settings":{}}', '2'],
    ['{', 'undefined'],
    ['null', 'undefined'],
  ] as const) {
    const file = join(folder, 'later.safetensors');
    writeTensors(file, [], { alexnet_split: text }, () => {});
    assert.throws(() => settingsIn(file), new RegExp(`its description is of version ${found}, expected 1`));
  }
  const text = join(folder, 'text.safetensors');
  fs.writeFileSync(text, 'not a file of tensors');
  assert.throws(() => settingsIn(text), /header is longer than the file; choose a safetensors file of float32/);
});

// The shapes of torchvision.models.alexnet().state_dict().
test("torchvisionClasses() recognizes torchvision's AlexNet and its number of classes, and no other net", () => {
  const of = (tensors: Pick<Entry, 'name' | 'shape'>[]) =>
    torchvisionClasses(sparseFile(join(folder, 'whole.safetensors'), tensors));
  const whole = torchvisionTensors(1000);
  assert.deepEqual(
    whole.filter(({ name }) => name.endsWith('weight')).map(({ shape }) => shape),
    [
      ...[
        [64, 3, 11, 11],
        [192, 64, 5, 5],
        [384, 192, 3, 3],
        [256, 384, 3, 3],
        [256, 256, 3, 3],
      ],
      ...[
        [4096, 9216],
        [4096, 4096],
        [1000, 4096],
      ],
    ],
  );
  const prefixed = torchvisionTensors(10).map(({ name, shape }) => ({ name: `module.${name}`, shape }));
  assert.deepEqual([of(whole), of(prefixed), of(whole.toReversed())], [1000, 10, 1000]);
  const changed = (name: string, shape: number[]) =>
    of(whole.map((each) => (each.name === name ? { name, shape } : each)));
  const others = [
    of(whole.slice(1)),
    of([...whole, { name: 'features.1.weight', shape: [64] }]),
    of([...whole, { name: 'step', shape: [] }]),
    changed('features.0.weight', [96, 3, 11, 11]),
    changed('classifier.6.bias', [999]),
    changed('classifier.6.bias', []),
    of(
      torchvisionTensors(2).map(({ name, shape }) => ({
        name,
        shape: shape[0] === 2 ? [1, ...shape.slice(1)] : shape,
      })),
    ),
    torchvisionClasses(writeCase(folder, 'torchvision').exported),
    torchvisionClasses(exported),
  ];
  assert.deepEqual(others, Array(others.length).fill(undefined));
});

// Exported weights have the keys of torchvision.models.alexnet().state_dict(), in its order.
test("openImport() takes back what exportWeights() names as torchvision's modules", () => {
  const { exported: narrow } = writeCase(folder, 'torchvision');
  const source = openTensors(narrow);
  source.close();
  assert.deepEqual(
    source.entries.map(({ name }) => name),
    torchvisionTensors(1000).map(({ name }) => name),
  );
  const { modules, layers } = JSON.parse(source.metadata.alexnet_split!);
  assert.equal(layers[0].name, 'conv1');
  assert.deepEqual(modules, {
    ...{ conv1: 'features.0', conv2: 'features.3', conv3: 'features.6', conv4: 'features.8', conv5: 'features.10' },
    ...{ fc6: 'classifier.1', fc7: 'classifier.4', fc8: 'classifier.6' },
  });
});

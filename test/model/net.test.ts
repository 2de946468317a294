/** The nets' geometry, against the sizes of the 2012 code and the tutorials. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { buildNet, type Net, type NetOptions, padding, parametersOf, sitesOf, volume } from '../../src/model/net.js';
import { layerName } from '../../src/model/summary.js';
import { TABLES } from '../../src/model/tables.js';
import { countOf, netOf, TABLE_NAMES } from './nets.js';

function shapesOf(net: Net, name: string): { [parameter: string]: readonly number[] } {
  const own = parametersOf(net).filter(({ layer }) => layer === name);
  return Object.fromEntries(own.map((each) => [each.name, each.shape]));
}

test('parametersOf() has as many values as the published nets', () => {
  for (const table of ['original', 'paper'] as const) {
    const net = netOf(table);
    assert.equal(countOf(parametersOf(net)), 60_965_224);
    assert.equal(countOf(parametersOf(net, 0)), 32_531_112);
    assert.equal(countOf(parametersOf(net, 1)), 28_434_112);
  }
  assert.equal(countOf(parametersOf(netOf('one-gpu'))), 59_798_312);
  assert.equal(countOf(parametersOf(netOf('columns'))), 60_714_408);
  assert.equal(countOf(parametersOf(netOf('tutorial', { classes: 10 }))), 46_764_746);
  assert.equal(countOf(parametersOf(netOf('torchvision'))), 61_100_840);
  assert.equal(countOf(parametersOf(netOf('lenet'))), 61_706);
  assert.equal(countOf(parametersOf(netOf('cifar'))), 2_432 + 25_632 + 51_264 + 5_770);
});

test('parametersOf() has as many values in each layer as the code of 2012', () => {
  const counts = Object.entries({
    conv1: 34_944,
    conv2: 307_456,
    conv3: 885_120,
    conv4: 663_936,
    conv5: 442_624,
    fc6: 37_752_832,
    fc7: 16_781_312,
    fc8: 4_097_000,
  });
  const all = parametersOf(netOf('original'));
  for (const [name, count] of counts) assert.equal(countOf(all.filter(({ layer }) => layer === name)), count, name);
});

test('parametersOf() of the one-GPU net has as many values in each layer as layers-145-half.cfg, all on tower 0', () => {
  const counts = Object.entries({
    conv1: 17_472,
    conv2: 153_728,
    conv3: 221_376,
    conv4: 331_968,
    conv5: 442_624,
    fc6: 37_752_832,
    fc7: 16_781_312,
    fc8: 4_097_000,
  });
  const all = parametersOf(netOf('one-gpu'), 0);
  for (const [name, count] of counts) assert.equal(countOf(all.filter(({ layer }) => layer === name)), count, name);
  assert.deepEqual(parametersOf(netOf('one-gpu'), 1), []);
});

test('parametersOf() names tensors by tower and layer, with the shapes of the code of 2012', () => {
  const net = netOf('original');
  const expected = {
    conv1: [11, 11, 3, 48],
    conv2: [5, 5, 48, 128],
    conv3: [3, 3, 256, 192],
    conv4: [3, 3, 192, 192],
    conv5: [3, 3, 192, 128],
    fc6: [9216, 2048],
    fc7: [4096, 2048],
  };
  for (const [layer, kernel] of Object.entries(expected)) {
    const bias = [kernel.at(-1)!];
    assert.deepEqual(shapesOf(net, layer), {
      [`tower0/${layer}/kernel`]: kernel,
      [`tower0/${layer}/bias`]: bias,
      [`tower1/${layer}/kernel`]: kernel,
      [`tower1/${layer}/bias`]: bias,
    });
  }
  assert.deepEqual(shapesOf(net, 'fc8'), { 'tower0/fc8/kernel': [4096, 1000], 'tower0/fc8/bias': [1000] });
});

test('parametersOf() follows the order of the layers, tower 0 first, or returns one tower alone', () => {
  const net = netOf('lenet');
  assert.deepEqual(
    parametersOf(net)
      .slice(0, 5)
      .map(({ name }) => name),
    ['tower0/conv1/kernel', 'tower0/conv1/bias', 'tower1/conv1/kernel', 'tower1/conv1/bias', 'tower0/conv2/kernel'],
  );
  assert.ok(parametersOf(net, 1).every(({ tower, name }) => tower === 1 && name.startsWith('tower1/')));
  assert.equal(parametersOf(net).length, parametersOf(net, 0).length + parametersOf(net, 1).length);
});

test('parametersOf() has the fan-in of one output, and the fan-out of one input over all towers that read it', () => {
  const fans = (table: 'original' | 'tutorial', layer: string) => {
    const { fanIn, fanOut } = parametersOf(netOf(table)).find((each) => each.layer === layer)!;
    return [fanIn, fanOut];
  };
  assert.deepEqual(fans('original', 'conv1'), [11 * 11 * 3, 96 * 11 * 11]); // both towers read the image
  assert.deepEqual(fans('original', 'conv2'), [5 * 5 * 48, 128 * 5 * 5]); // of one tower only
  assert.deepEqual(fans('original', 'conv3'), [3 * 3 * 256, 384 * 3 * 3]);
  assert.deepEqual(fans('original', 'fc8'), [4096, 1000]);
  // One layer over all channels, as the tutorial has it, has torch's fans.
  assert.deepEqual(fans('tutorial', 'conv2'), [96 * 25, 256 * 25]);
  assert.deepEqual(fans('tutorial', 'fc6'), [6400, 4096]);
});

/** ORIGINAL config #145, per GPU: [layer, H, W, C]. */
const ORIGINAL_OUTPUTS = [
  'conv1 55,55,48',
  'norm 55,55,48',
  'pool1 27,27,48',
  'relu 27,27,48',
  'conv2 27,27,128',
  'relu 27,27,128',
  'norm 27,27,128',
  'mapNorm 27,27,128',
  'pool2 13,13,128',
  'conv3 13,13,192',
  'relu 13,13,192',
  'conv4 13,13,192',
  'relu 13,13,192',
  'conv5 13,13,128',
  'pool5 6,6,128',
  'relu 6,6,128',
  'fc6 1,1,2048',
  'relu 1,1,2048',
  'drop6 1,1,2048',
  'fc7 1,1,2048',
  'relu 1,1,2048',
  'drop7 1,1,2048',
  'fc8 1,1,1000',
];

test('buildNet() gives the layers of the original the shapes of the code of 2012', () => {
  const { layers } = netOf('original');
  assert.deepEqual(
    layers.map((layer) => `${layerName(layer)} ${layer.output}`),
    ORIGINAL_OUTPUTS,
  );
  assert.deepEqual(layers[0]!.input, [224, 224, 3]);
});

test('buildNet() puts norms after ReLU in the paper, and before it in the original', () => {
  const names = (table: 'original' | 'paper') => netOf(table).layers.map(layerName).join(' ');
  assert.match(names('paper'), /^conv1 relu norm pool1 conv2 relu norm pool2 conv3/);
  assert.match(names('original'), /^conv1 norm pool1 relu conv2 relu norm mapNorm pool2 conv3/);
});

test('buildNet() gives the nets of tutorials their shapes', () => {
  const outputs = (table: 'tutorial' | 'lenet', names: string[]) =>
    netOf(table)
      .layers.filter((layer) => names.includes(layerName(layer)))
      .map(({ output }) => output.join());
  assert.deepEqual(outputs('tutorial', ['conv1', 'pool1', 'pool2', 'pool5']), [
    '54,54,48',
    '26,26,48',
    '12,12,128',
    '5,5,128',
  ]);
  assert.deepEqual(outputs('lenet', ['conv1', 'pool1', 'conv2', 'pool2', 'fc3', 'fc4', 'fc5']), [
    '28,28,3',
    '14,14,3',
    '10,10,8',
    '5,5,8',
    '1,1,60',
    '1,1,42',
    '1,1,10',
  ]);
});

test('padding() `ceil` lets the last window that starts inside the image end at its edge', () => {
  assert.deepEqual(padding({ size: 11, stride: 4, pad: 'ceil' }, 224), [0, 3]);
  assert.deepEqual(padding({ size: 11, stride: 4, pad: 'ceil' }, 227), [0, 0]);
  assert.deepEqual(padding({ size: 11, stride: 4, pad: 'ceil' }, 228), [0, 3]);
  assert.deepEqual(padding({ size: 11, stride: 4, pad: 'ceil' }, 11), [0, 0]);
  assert.deepEqual(padding({ size: 11, stride: 4, pad: 'ceil' }, 10), [0, 0]);
  assert.deepEqual(padding({ size: 5, stride: 1, pad: 2 }, 27), [2, 2]);
  for (let input = 11; input < 300; input++) {
    const [before, after] = padding({ size: 11, stride: 4, pad: 'ceil' }, input);
    const windows = 1 + Math.ceil((input - 11) / 4); // modulesX of the 2012 code
    assert.equal((input + before + after - 11) / 4 + 1, windows);
    assert.ok(after >= 0 && after < 4);
  }
});

const SWEEP: Partial<NetOptions>[] = [
  {},
  { width: 0.25 },
  { width: 0.001, classes: 2 },
  { width: 1.5, classes: 7, inputChannels: 1 },
  { inputSize: 96 },
  { inputSize: 227, width: 0.3, inputChannels: 4 },
  { inputSize: 300, dropout: false },
];

test('buildNet() gives each layer the output of the one before, of both towers at a site', () => {
  for (const table of TABLE_NAMES) {
    for (const changes of SWEEP) {
      const net = netOf(table, changes);
      const { layers, options } = net;
      const sites = sitesOf(net).map(({ name }) => name);
      layers.forEach(({ input }, i) => {
        const before = i === 0 ? [options.inputSize, options.inputSize, options.inputChannels] : layers[i - 1]!.output;
        const factor = sites.includes(layerName(layers[i]!)) ? 2 : 1;
        assert.deepEqual(input, [before[0], before[1], before[2]! * factor]);
      });
      assert.deepEqual(layers.at(-1)!.output, [1, 1, options.classes]);
      for (const { output, ...layer } of layers) {
        assert.ok(output.every((size) => Number.isInteger(size) && size >= 1));
        if (layer.kind === 'conv') assert.equal(output[2], layer.kernels / layer.towers.length);
      }
    }
  }
});

test('buildNet() scales kernels by the width, with at least one in each tower', () => {
  const kernels = (width: number) =>
    netOf('original', { width }).layers.flatMap((layer) => (layer.kind === 'conv' ? [layer.kernels] : []));
  assert.deepEqual(kernels(0.25), [24, 64, 96, 96, 64]);
  assert.deepEqual(kernels(0.0001), [2, 2, 2, 2, 2]);
  assert.deepEqual(kernels(2), [192, 512, 768, 768, 512]);
});

test('buildNet() refuses an input that is too small, and names the layer and the sizes', () => {
  const cases: [table: 'original' | 'tutorial' | 'lenet', inputSize: number, message: RegExp][] = [
    ['original', 10, /"original" at 10×10 pixels: conv1 has a 11×11 window on 10×10 pixels; choose a larger/],
    ['original', 35, /at 35×35 pixels: pool5 has a 3×3 window on 1×1 pixels/],
    ['tutorial', 60, /"tutorial" at 60×60 pixels: pool5 has a 3×3 window on 2×2 pixels/],
    ['lenet', 9, /"lenet" at 9×9 pixels: conv2 has a 5×5 window on 4×4 pixels/],
  ];
  for (const [table, inputSize, message] of cases) {
    assert.throws(() => netOf(table, { inputSize }), { name: 'ConfigError', message });
  }
});

test('buildNet() refuses options out of range', () => {
  const cases: [Partial<NetOptions>, RegExp][] = [
    [{ width: 0 }, /its width is 0, expected a factor above 0 and up to 8/],
    [{ width: Number.NaN }, /its width is NaN/],
    [{ inputSize: 22.5 }, /its input size is 22\.5, expected a whole number from 1 up/],
    [{ inputChannels: 0 }, /its number of input channels is 0, expected a whole number from 1/],
    [{ classes: 1 }, /its number of classes is 1, expected a whole number from 2 up/],
  ];
  for (const [changes, message] of cases) assert.throws(() => netOf('original', changes), message);
});

test('volume() is the product of the sizes', () => {
  assert.equal(volume([13, 13, 128]), 21_632);
});

test('buildNet() returns its options unchanged', () => {
  const options: NetOptions = { ...netOf('lenet').options, classes: 4 };
  assert.equal(buildNet(options).options, options);
  assert.equal(TABLES.lenet.classes, 10);
});

/** The tables' numbers, each from its source. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { type Layer, parametersOf } from '../../src/model/net.js';
import { TABLES, type TableName } from '../../src/model/tables.js';
import { netOf, TABLE_NAMES } from './nets.js';

function layersOf<Kind extends Layer['kind']>(table: TableName, kind: Kind): Extract<Layer, { kind: Kind }>[] {
  return TABLES[table].layers.filter((layer): layer is Extract<Layer, { kind: Kind }> => layer.kind === kind);
}

function initsOf(table: TableName): Record<string, [number, number]> {
  const weighted = [...layersOf(table, 'conv'), ...layersOf(table, 'dense')];
  return Object.fromEntries(weighted.map(({ name, init }) => [name, [init.sd, init.bias]]));
}

// Paper §3.3 has alpha as it is; the code divides it by the five channels of the window.
test('TABLES have the response norm of the paper and of the code', () => {
  for (const [table, alpha] of [
    ['paper', 1e-4],
    ['original', 2e-5],
    ['one-gpu', 2e-5],
    ['columns', 2e-5],
  ] as const) {
    const norms = layersOf(table, 'norm');
    assert.equal(norms.length, 2);
    for (const norm of norms) {
      assert.deepEqual([norm.radius, norm.k, norm.beta], [2, 2, 0.75]);
      assert.ok(Math.abs(norm.alpha / alpha - 1) < 1e-12, `${norm.alpha}`);
    }
  }
});

// layers-145.cfg, cnorm2: scale .001, pow .75, size 5; divided by 25; minDiv 1.
test('TABLES have the norm within maps only in nets of the code', () => {
  for (const table of TABLE_NAMES) {
    const norms = layersOf(table, 'mapNorm');
    if (table === 'cifar') continue;
    assert.equal(norms.length, ['original', 'one-gpu', 'columns'].includes(table) ? 1 : 0, table);
    for (const { alpha, ...others } of norms) {
      assert.deepEqual(others, { kind: 'mapNorm', size: 5, k: 1, beta: 0.75 });
      assert.ok(Math.abs(alpha / 4e-5 - 1) < 1e-12);
    }
  }
});

// cuda-convnet's example-layers: layers-18pct.cfg and layer-params-18pct.cfg (scale .00005, pow .75, size 3).
test('TABLES have the four-layer net for CIFAR-10', () => {
  const rows = TABLES.cifar.layers.map((layer) => {
    if (layer.kind === 'conv') return `${layer.kernels} of ${layer.size} every ${layer.stride}, padding ${layer.pad}`;
    return layer.kind === 'pool' ? `${layer.op} ${layer.size} ${layer.stride}` : layer.kind;
  });
  assert.deepEqual(rows, [
    ...['32 of 5 every 1, padding 2', 'max 3 2', 'activation', 'mapNorm'],
    ...['32 of 5 every 1, padding 2', 'activation', 'average 3 2', 'mapNorm'],
    ...['64 of 5 every 1, padding 2', 'activation', 'average 3 2', 'dense'],
  ]);
  for (const { alpha, ...others } of layersOf('cifar', 'mapNorm')) {
    assert.deepEqual(others, { kind: 'mapNorm', size: 3, k: 1, beta: 0.75 });
    assert.ok(Math.abs((alpha * 9) / 5e-5 - 1) < 1e-12);
  }
  assert.deepEqual(initsOf('cifar'), { conv1: [0.0001, 0], conv2: [0.01, 0], conv3: [0.01, 0], fc4: [0.01, 0] });
});

// Paper §5: 0.01 everywhere, bias 1 in conv2, 4, 5 and the hidden dense layers. The code has 0.03 in conv3 to conv5.
test('TABLES have the initial values of the paper and of the code', () => {
  const dense = { fc6: [0.01, 1], fc7: [0.01, 1], fc8: [0.01, 0] };
  const lower = { conv1: [0.01, 0], conv2: [0.01, 1] };
  assert.deepEqual(initsOf('paper'), { ...lower, conv3: [0.01, 0], conv4: [0.01, 1], conv5: [0.01, 1], ...dense });
  for (const table of ['original', 'one-gpu', 'columns'] as const) {
    assert.deepEqual(initsOf(table), { ...lower, conv3: [0.03, 0], conv4: [0.03, 1], conv5: [0.03, 1], ...dense });
  }
});

// torchvision/models/alexnet.py, module by module; its numbers are those of the rows.
test("TABLES have torchvision's modules in their order", () => {
  const rows = TABLES.torchvision.layers.map((layer) => {
    if (layer.kind === 'conv') return `${layer.kernels} of ${layer.size} every ${layer.stride}, padding ${layer.pad}`;
    return layer.kind === 'dense' ? `dense ${layer.units}` : layer.kind;
  });
  assert.deepEqual(rows, [
    ...['64 of 11 every 4, padding 2', 'activation', 'pool', '192 of 5 every 1, padding 2', 'activation', 'pool'],
    ...['384 of 3 every 1, padding 1', 'activation', '256 of 3 every 1, padding 1', 'activation'],
    ...['256 of 3 every 1, padding 1', 'activation', 'pool'],
    ...['dropout', 'dense 4096', 'activation', 'dropout', 'dense 4096', 'activation', 'dense classes'],
  ]);
  // nn.init.kaiming_uniform_(a=sqrt(5)) is uniform within 1 / sqrt(fan-in), whose deviation is a sqrt(3)rd of that.
  for (const { layer, role, fanIn, init } of parametersOf(netOf('torchvision'))) {
    if (role === 'kernel') assert.ok(Math.abs(init.sd * Math.sqrt(3 * fanIn) - 1) < 1e-12, layer);
    assert.equal(init.bias, 0);
  }
});

// Paper §3.4: windows of 3 every 2.
test('TABLES pool with overlap as in the paper; LeNet averages without', () => {
  for (const table of TABLE_NAMES.filter((name) => name !== 'lenet' && name !== 'cifar')) {
    const pools = layersOf(table, 'pool').map(({ name, op, size, stride }) => `${name} ${op} ${size} ${stride}`);
    assert.deepEqual(pools, ['pool1 max 3 2', 'pool2 max 3 2', 'pool5 max 3 2']);
  }
  const averages = layersOf('lenet', 'pool').map(({ op, size, stride }) => [op, size, stride]);
  assert.deepEqual(averages, [
    ['average', 2, 2],
    ['average', 2, 2],
  ]);
});

// Paper §4.2: half of the outputs of the first two dense layers, halved at test; the tutorials' libraries scale in training.
test('TABLES drop half of fc6 and fc7; 2012 scales at test time, tutorials in training', () => {
  for (const [table, scale] of [
    ['original', 'test'],
    ['paper', 'test'],
    ['tutorial', 'train'],
  ] as const) {
    assert.deepEqual(
      layersOf(table, 'dropout').map((each) => [each.name, each.keep, each.scale]),
      [
        ['drop6', 0.5, scale],
        ['drop7', 0.5, scale],
      ],
    );
  }
  assert.deepEqual(
    layersOf('torchvision', 'dropout').map((each) => [each.name, each.keep, each.scale]),
    [
      ['drop5', 0.5, 'train'],
      ['drop6', 0.5, 'train'],
    ],
  );
  for (const table of ['lenet', 'cifar'] as const) assert.deepEqual(layersOf(table, 'dropout'), []);
});

// Paper Figure 2: conv3, fc6, fc7 and fc8 read both GPUs' maps; a tutorial's layers have no groups.
test('TABLES read both towers where the paper does, and everywhere in tutorials', () => {
  const reach = (table: TableName) =>
    [...layersOf(table, 'conv'), ...layersOf(table, 'dense')]
      .filter((each) => each.reach === 'both')
      .map((each) => each.name);
  for (const table of ['original', 'paper'] as const) assert.deepEqual(reach(table), ['conv3', 'fc6', 'fc7', 'fc8']);
  for (const table of ['tutorial', 'torchvision', 'lenet', 'cifar'] as const) {
    assert.equal(reach(table).length, layersOf(table, 'conv').length + layersOf(table, 'dense').length);
  }
});

test('TABLES have unique names, because tensors and sites are named after layers', () => {
  for (const table of TABLE_NAMES) {
    const names = TABLES[table].layers.flatMap((layer) => ('name' in layer ? [layer.name] : []));
    assert.equal(new Set(names).size, names.length);
  }
});

/** The JSON schema of config files, as a validator reads it, beside what the program accepts. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { readConfigFile } from '../../src/config/file.js';
import { configJsonSchema } from '../../src/config/json-schema.js';
import { mergeLayer, valueAt } from '../../src/config/layers.js';
import { PRESETS } from '../../src/config/presets.js';
import { CONFIG_SCHEMA } from '../../src/config/schema.js';
import { run } from '../cli/stand-ins.js';
import { type JsonSchema, jsonSchema } from '../tools.js';

const found = await jsonSchema();
const skip = 'skip' in found && found.skip;
const isValid: ReturnType<JsonSchema> = 'tool' in found ? found.tool(configJsonSchema()) : () => false;

test('configJsonSchema() accepts the settings of every preset, as --print-config and a run write them', {
  skip,
}, async () => {
  for (const [name, preset] of Object.entries(PRESETS)) {
    const { stdout } = await run(['train', '--preset', name, '--data', '/images', '--print-config']);
    for (const values of [preset, JSON.parse(stdout.text), { ...preset, devices: ['GPU:0/0', 'GPU:0/1'], run: 'r' }])
      assert.ok(isValid(values), `${name}: ${JSON.stringify(isValid.errors)}`);
  }
});

test('configJsonSchema() accepts a part of the settings, and refuses what no file may have', { skip }, () => {
  const good = [
    {},
    { $schema: './docs/config.schema.json', preset: 'auto' },
    { optimizer: { learningRate: 0.1, schedule: { factor: 0.5 } } },
    { optimizer: { schedule: { kind: 'plateau', factor: 0.1, patience: 3, least: 1e-5 } } },
    { optimizer: { schedule: { kind: 'cosine' } } },
    { optimizer: { ownRates: [{ layer: 'conv1', after: 2, factor: 0 }] } },
  ];
  for (const values of good) assert.ok(isValid(values), JSON.stringify([values, isValid.errors]));
  const bad = [
    [],
    { presett: 'mini' },
    { net: { tabel: 'paper' } },
    { optimizer: { schedule: { kind: 'sine' } } },
    { optimizer: { ownRates: [{ layer: 'conv1' }] } },
    { checkpointEvery: '0m' },
  ];
  for (const values of bad) assert.ok(!isValid(values), JSON.stringify(values));
});

/** The paths of all settings, also of those that presets leave out. */
function pathsIn(schema: object, path: readonly string[] = []): string[][] {
  const properties = valueAt(schema, ['properties']) as Record<string, object> | undefined;
  if (!properties) return [[...path]];
  return [
    ...(path.length > 0 ? [[...path]] : []),
    ...Object.entries(properties).flatMap(([key, each]) => pathsIn(each, [...path, key])),
  ];
}

const VALUES = [
  ...[0, -1, 1, 2, 3, 0.5, 1.5, 8, 64, 255, 256, 65_536, 65_537, 1e9, 1e10, 2 ** 32, -0.1, 1e-9],
  ...['', 'x', 'mini', 'split', 'he', 'relu', 'data', 'fail', 'on', 'xla', 'direct', 'msgpack', 'float16', '10m', '0m'],
  ...['CPU:0', 'cpu:0', true, false, null, {}, { x: 1 }],
  ...[[], [1], [0], ['CPU:0'], ['GPU:0/1', 'CPU:0'], ['x'], [255.5], [256]],
];

test('configJsonSchema() accepts a value of a setting if and only if the program does', { skip }, () => {
  const base = { ...PRESETS.mini, devices: ['CPU:0', 'CPU:1'], run: 'r' };
  const paths = pathsIn(configJsonSchema()).filter(([key]) => key !== '$schema' && key !== 'preset');
  assert.ok(paths.length > 55, String(paths.length));
  const counts = { accepted: 0, refused: 0 };
  for (const path of paths) {
    for (const value of VALUES) {
      const values = path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Record<string, unknown>;
      const { success } = CONFIG_SCHEMA.safeParse(mergeLayer(base, { values }));
      assert.equal(isValid(values), success, `${path.join('.')} is ${JSON.stringify(value)}`);
      counts[success ? 'accepted' : 'refused']++;
    }
  }
  assert.ok(counts.accepted > 300 && counts.refused > 1000, JSON.stringify(counts));
});

test('configJsonSchema() says of every setting what it is, and its flag and default', () => {
  const schema = configJsonSchema();
  for (const path of pathsIn(schema)) {
    const { properties, description } = valueAt(
      schema,
      path.flatMap((key) => ['properties', key]),
    ) as Record<string, unknown>;
    assert.ok(properties || (typeof description === 'string' && description.length > 5), path.join('.'));
  }
  const rate = valueAt(schema, 'properties.optimizer.properties.learningRate'.split('.')) as { description: string };
  assert.match(rate.description, /\(--lr; default: 0\.01; mini: 0\.02; lenet: 0\.9; cifar: 0\.001\)$/);
  assert.equal(valueAt(schema, 'properties.seed.default'.split('.')), PRESETS.mini.seed);
});

test('schema prints it, and a config file may name it', async () => {
  const { exitCode, stdout } = await run(['schema']);
  assert.equal(exitCode, 0);
  assert.deepEqual(JSON.parse(stdout.text), configJsonSchema());
  const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-schema-'));
  fs.writeFileSync(join(folder, 'a.json'), '{"$schema": "x.json", "seed": 3}');
  assert.deepEqual(readConfigFile(join(folder, 'a.json')).values, { seed: 3 });
  fs.rmSync(folder, { recursive: true });
});

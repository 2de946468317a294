/** Any config file gives complete settings, which mean the same when they are read again, or one sentence. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { resolveConfig } from '../../src/config/config.js';
import { readConfigFile } from '../../src/config/file.js';
import { countClasses } from '../../src/data/index.js';
import { ConfigError } from '../../src/errors.js';
import { buildNet, parametersOf } from '../../src/model/net.js';
import { fuzz, isSentence, jsonLike } from '../fuzz.js';
import { flags, machineWith } from './machines.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-config-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'config.json');
const MACHINE = { ...machineWith('CPU:0', 'CPU:1'), classesOf: countClasses };
const { config: BASE } = resolveConfig([flags({ preset: 'imagenet', data: { source: 'embedded' } })], MACHINE);

function resolved(text: string) {
  fs.writeFileSync(file, text);
  return resolveConfig([readConfigFile(file)], MACHINE).config;
}

function isRefusal(error: unknown): boolean {
  return error instanceof ConfigError && isSentence(error.message);
}

test('readConfigFile() and resolveConfig() make a config of any JSON, or explain in a sentence why not', async (t) => {
  await fuzz(t, {
    what: 'config files',
    cases: jsonLike(BASE),
    usual: 150,
    read(text) {
      const config = resolved(text);
      assert.ok(Object.isFrozen(config.net) && parametersOf(buildNet(config.net)).length > 0);
      assert.deepEqual(resolved(JSON.stringify(config)), config);
    },
    refuses: isRefusal,
  });
});

test('readConfigFile() refuses a file that is too large or too deep', () => {
  const refusal = (text: string) => {
    try {
      resolved(text);
    } catch (error) {
      assert.ok(isRefusal(error), String(error));
      return (error as Error).message;
    }
    return assert.fail('it was taken');
  };
  assert.match(refusal(`{"seed": ${' '.repeat(2 ** 20)}1}`), /it has 1048587 bytes, more than 1048576, expected JSON$/);
  assert.match(refusal(`{"seed": ${'['.repeat(100_000)}${']'.repeat(100_000)}}`), /more than 64 deep, expected JSON$/);
  assert.match(refusal(JSON.stringify({ ['y'.repeat(900_000)]: 1 })), /^Cannot use the unknown key y{117}\.\.\. in /);
  assert.match(refusal(JSON.stringify({ run: 'x'.repeat(100_000) })), /^Cannot name the run "x{56}\.\.\.: expected/);
  const ownRates = [{ layer: 'x'.repeat(100_000), after: 1, factor: 1 }];
  assert.match(refusal(JSON.stringify({ optimizer: { ownRates } })), /layer is "x{57}\.\.\.", expected/);
  const devices = Array(20_000).fill('CPU:0');
  assert.match(refusal(JSON.stringify({ placement: 'split', devices })), /^Cannot split over .{57}\.\.\.: expected/);
  for (const key of ['out', 'weights', 'data']) {
    const text = 'a\0b';
    assert.match(
      refusal(JSON.stringify({ [key]: key === 'data' ? { source: text } : text })),
      /expected a path, which has no character 0/,
    );
  }
  assert.match(refusal(JSON.stringify({ data: { source: 'x'.repeat(100_000) }, net: { width: 0 } })), /net\.width/);
});

/** The README says what is so. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { PRESETS } from '../src/config/presets.js';
import { buildNet } from '../src/model/net.js';
import { towersPicture } from '../src/model/picture.js';
import { TABLES } from '../src/model/tables.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const README = fs.readFileSync(join(ROOT, 'README.md'), 'utf8');
const scripts = Object.keys(JSON.parse(fs.readFileSync(join(ROOT, 'package.json'), 'utf8')).scripts);

test('README has the picture of the original net as it is made from the table', () => {
  const { inputSize, inputChannels, classes } = TABLES.original;
  const options = {
    table: 'original',
    width: 1,
    inputSize,
    inputChannels,
    classes,
    init: 'table',
    dropout: true,
  } as const;
  assert.ok(README.includes(`\n${towersPicture(buildNet(options))}\n`));
});

test('README names npm scripts, presets and files that there are', () => {
  const named = [...README.matchAll(/^npm run ([\w:]+)/gm)].map((match) => match[1]!);
  assert.ok(named.length >= 6);
  for (const name of named) assert.ok(scripts.includes(name), name);
  for (const [, name] of README.matchAll(/--preset (\w+)/g)) assert.ok(name! in PRESETS, name);
  for (const [, path] of README.matchAll(/\]\(([\w./-]+)\)/g)) assert.ok(fs.existsSync(join(ROOT, path!)), path);
});

test('README shows the length of a run as the preset has it', () => {
  const { epochs, batchSize } = PRESETS.mini;
  const steps = epochs * Math.ceil(10_000 / batchSize);
  assert.ok(README.includes(`: ${steps} steps of ${batchSize} images`));
});

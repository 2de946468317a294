/** The pages about the recipe and the tutorial say what is so. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { FLAGS } from '../src/config/flags.js';
import { PRESETS } from '../src/config/presets.js';
import { WARNING_KINDS } from '../src/log.js';
import { buildNet, parametersOf, volume } from '../src/model/net.js';
import { VARIANT_NAMES } from '../src/train/ablate.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const scripts = Object.keys(JSON.parse(fs.readFileSync(join(ROOT, 'package.json'), 'utf8')).scripts);
const page = (name: string) => fs.readFileSync(join(ROOT, 'docs', name), 'utf8');
/** Flags of commands that are no settings. */
const OTHERS = ['--variants', '--config'];

for (const name of ['recipe.md', 'tutorial.md']) {
  test(`docs/${name} names npm scripts, presets, flags and variants that there are`, () => {
    const commands = page(name).match(/^npm run .*$/gm) ?? [];
    assert.ok(commands.length >= 4);
    for (const command of commands) {
      assert.ok(scripts.includes(command.split(' ')[2]!), command);
      for (const [flag] of command.matchAll(/--[a-z][\w-]*/g)) {
        assert.ok(OTHERS.includes(flag) || FLAGS.some((each) => each.name === flag), `${flag} in ${command}`);
      }
      for (const [, preset] of command.matchAll(/--preset ([\w-]+)/g)) assert.ok(preset! in PRESETS, command);
      for (const [, list] of command.matchAll(/--variants ([\w,-]+)/g)) {
        for (const variant of list!.split(','))
          assert.ok((VARIANT_NAMES as readonly string[]).includes(variant), command);
      }
    }
  });
}

test('docs/recipe.md has the parameters, the rates and the length of the presets', () => {
  const text = page('recipe.md');
  for (const [name, { net, placement }] of Object.entries(PRESETS).filter(([each]) => each.startsWith('imagenet'))) {
    const count = parametersOf(buildNet(net)).reduce((total, { shape }) => total + volume(shape), 0);
    const where = placement === 'single' ? 'single' : 'split or single';
    const row = `| \`${name}\` | \`${net.table}\` | ${count.toLocaleString('en-US')} | ${where} |`;
    assert.ok(text.includes(row), row);
  }
  const { optimizer, epochs } = PRESETS.imagenet;
  assert.ok(optimizer.schedule.kind === 'steps');
  assert.ok(text.includes(`by ten after epochs ${optimizer.schedule.epochs.join(', ')}`));
  assert.ok(text.includes(`stopped at ${epochs}`));
  for (const variant of VARIANT_NAMES) assert.ok(text.includes(`\`${variant}\``), variant);
});

test('docs/warnings.md and docs/log-events.md have every kind of warning', () => {
  const [table] = page('warnings.md').split('\n## ');
  const rows = [...table!.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, kind]) => kind);
  assert.deepEqual(rows, [...WARNING_KINDS]);
  for (const kind of WARNING_KINDS) assert.ok(page('log-events.md').includes(`\`${kind}\``), kind);
});

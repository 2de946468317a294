/** The layer check, on made-up sources that break one rule each. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkLayers } from '../../scripts/check-layers.js';
import { stripComments } from '../../scripts/strip-comments.js';

const temporary = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-layers-'));
after(() => fs.rmSync(temporary, { recursive: true }));
let trees = 0;

/** A house in order, in which files are put in place of others. */
function tree(files: Record<string, string> = {}): string {
  const root = join(temporary, `${++trees}`);
  const house = {
    'src/errors.ts': 'export class A extends Error {}',
    'src/cli.ts': "import './train/loop.js';\nimport { z } from 'zod';",
    'src/train/loop.ts': "import { tower } from '../tower/tower.js';\nimport type { C } from '../config/config.js';",
    'src/tower/tower.ts': "import { gather } from '../exchange/gather.js';\nexport const tower = gather;",
    'src/exchange/gather.ts':
      "import { A } from '../errors.js';\nexport const gather = () => Atomics.load(new A(), 0);",
    'src/config/config.ts': "import { net } from '../model/net.js';\nexport type C = typeof net;",
    'src/model/net.ts': 'export const net = 1;',
  };
  for (const [path, text] of Object.entries({ ...house, ...files })) {
    fs.mkdirSync(dirname(join(root, path)), { recursive: true });
    fs.writeFileSync(join(root, path), `${text}\n`);
  }
  return root;
}

const violations = (files: Record<string, string>) => checkLayers(tree(files)).violations;

test('checkLayers() finds nothing in a house in order', () => {
  assert.deepEqual(checkLayers(tree()), { files: 7, violations: [] });
});

test('checkLayers() refuses imports upwards and between rooms, of types too', () => {
  const cases: [path: string, text: string, said: RegExp][] = [
    [
      'src/tower/up.ts',
      "\nimport '../train/loop.js';",
      /^src\/tower\/up\.ts:2: imports src\/train\/loop\.ts; tower may/,
    ],
    [
      'src/model/side.ts',
      "import { gather } from '../exchange/gather.js';",
      /:1: imports .*; model may import errors, random, printable, paths$/,
    ],
    ['src/optim/c.ts', "import type { C } from '../config/config.js';", /imports src\/config\/config\.ts; optim may/],
    ['src/optim/lazy.ts', "const a = await import('../model/net.js');", /imports src\/model\/net\.ts/],
    ['src/data/re.ts', "export { net } from '../model/net.js';", /imports src\/model\/net\.ts/],
    ['src/data/long.ts', "import {\n  net,\n} from '../model/net.js';", /^src\/data\/long\.ts:1: imports/],
    [
      'src/config/d.ts',
      "import { tower } from '../tower/tower.js';",
      /config may import model, optim, errors, printable, paths, limits, read-json$/,
    ],
    ['src/errors.ts', "import './model/net.js';", /errors may import nothing$/],
    ['src/log.ts', "import '../scripts/x.js';", /imports scripts\/x\.js; log may/],
    ['src/attic/x.ts', '', /^src\/attic\/x\.ts:1: a file outside the rooms/],
  ];
  for (const [path, text, said] of cases) {
    const found = violations({ [path]: text });
    assert.equal(found.length, 1, `${path}: ${found.join('\n')}`);
    assert.match(found[0]!, said);
  }
});

test('checkLayers() finds a cycle once, and lets imports of types make one', () => {
  const a = "import { b } from './b.js';\nexport const a = b;";
  assert.deepEqual(
    violations({ 'src/data/a.ts': a, 'src/data/b.ts': "import './c.js';", 'src/data/c.ts': "import './a.js';" }),
    [
      'src/data/a.ts:1: is in the cycle src/data/a.ts -> src/data/b.ts -> src/data/c.ts -> src/data/a.ts; imports make no cycle',
    ],
  );
  for (const back of ["import type { a } from './a.js';", "import { type a } from './a.js';"]) {
    assert.deepEqual(violations({ 'src/data/a.ts': a, 'src/data/b.ts': back }), []);
  }
});

test('checkLayers() keeps words in their rooms, and does not read comments', () => {
  const cases: [path: string, text: string, word: string][] = [
    ['src/model/a.ts', "\n\nimport koffi from 'koffi';", 'koffi'],
    ['src/tower/a.ts', 'c.TFE_Execute(op);', 'TFE_Execute'],
    ['src/tower/b.ts', 'Atomics.wait(words, 0, 0);', 'Atomics'],
    ['src/train/a.ts', "import { pack } from 'msgpackr';", 'msgpackr'],
    ['src/train/b.ts', 'function f(port: MessagePort) {}', 'MessagePort'],
    ['src/tower/worker.ts', 'new Piscina();', 'Piscina'],
    ['src/train/c.ts', "import pino from 'pino';", 'pino'],
    ['src/cli/c.ts', "process.stdout.write('a');", 'process.stdout'],
    ['src/train/d.ts', "console.error('a');", 'console.error'],
    ['src/tower/d.ts', "import * as tf from '@tensorflow/tfjs';", "import * as tf from '@tensorflow/tfjs'"],
  ];
  for (const [path, text, word] of cases) {
    const found = violations({ [path]: text });
    assert.ok(found.length > 0 && found.every((each) => each.includes(`: says ${word}; `)), `${path}: ${found}`);
  }
  const allowed = {
    'src/native/a.ts': "import koffi from 'koffi';\nc.TF_Version();",
    'src/tower/client.ts': "import { Piscina } from 'piscina';",
    'src/data/pool.ts': "import { Piscina } from 'piscina';",
    'src/log.ts': "import pino from 'pino';",
    'src/tower/d.ts': "import tf = require('@tensorflow/tfjs');",
    'src/tower/e.ts': "import type * as tf from '@tensorflow/tfjs';",
    'src/model/a.ts': '// Atomics and koffi\n/* pino\nTF_Version */ const a = /[/*]/; /** Piscina */',
  };
  assert.deepEqual(violations(allowed), []);
  assert.match(
    violations({ 'src/model/b.ts': "/* koffi */\nconst a = '//'; TF_b;" })[0]!,
    /^src\/model\/b\.ts:2: says TF_b/,
  );
});

test('checkLayers() refuses an import from a higher floor of native, and allows those from lower ones', () => {
  const up = violations({
    'src/native/binding/a.ts': "import '../graph/b.js';",
    'src/native/graph/b.ts': "import '../c/d.js';",
    'src/native/c/d.ts': 'export {};',
    'src/native/index.ts': "import './graph/b.js';",
  });
  assert.deepEqual(up, [
    'src/native/binding/a.ts:1: imports src/native/graph/b.ts; the floors of native are, upwards, install, c, binding, graph, layers',
  ]);
});

test('checkLayers() refuses a file of more than 300 lines', () => {
  assert.deepEqual(violations({ 'src/model/a.ts': `${'let a;\n'.repeat(299)}a;` }), []);
  assert.match(violations({ 'src/model/a.ts': 'let a;\n'.repeat(301) })[0]!, /has 301 lines; a file has at most 300/);
});

test('stripComments() leaves strings, templates and regular expressions alone', () => {
  for (const code of ["'//'", '"/*"', `\`// \${\`/* \${1}\`} //\``, 'x = /\\/*[/*]/g', 'a / b', "'it\\'s //'"]) {
    assert.equal(stripComments(`${code} // gone`), `${code}        `);
  }
  assert.equal(stripComments('a /* b\nc */ d'), 'a     \n     d');
});

test('check-layers.js prints a line a violation and ends with 1, or one line and 0', () => {
  const script = fileURLToPath(new URL('../../scripts/check-layers.js', import.meta.url));
  const run = (root: string) => spawnSync(process.execPath, [script, root], { encoding: 'utf8' });
  const good = run(tree());
  assert.deepEqual([good.status, good.stdout, good.stderr], [0, 'layers: 7 files in order\n', '']);
  const bad = run(tree({ 'src/model/a.ts': "import '../cli.js';", 'src/model/b.ts': 'koffi' }));
  assert.equal(bad.status, 1);
  assert.match(bad.stdout, /^src\/model\/a\.ts:1: imports .*\nsrc\/model\/b\.ts:1: says koffi; .*\n$/);
});

/** The figures of README.md and docs/ are those of benchmarks/*.json, and every kind of fault is found. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { FIGURES } from '../../scripts/figures/tools/all.js';
import { doubtsOf, faultsOf, textsOf } from '../../scripts/figures/tools/check.js';
import { ROOT, refusalOf } from '../../scripts/figures/tools/commands.js';
import { type AnyFigure, isMaker, type Maker } from '../../scripts/figures/tools/figure.js';
import { writePages } from '../../scripts/figures/tools/pages.js';
import { benchFile } from '../../scripts/figures/tools/runner.js';

test('npm run figures -- --check finds nothing in this clone', async () => {
  assert.deepEqual(await faultsOf(ROOT, FIGURES), []);
});

const COMMAND = 'npm run train:split -- --preset mini --epochs 3';
const ERROR: Maker<{ error: number }> = {
  name: 'error',
  minutes: 1,
  commands: [COMMAND],
  measure: async () => ({ error: 0.143 }),
  blocks: {
    table: ({ error }, { cores }) => `| error | cores |\n| --- | --- |\n| ${error} | ${cores} |`,
    inline: ({ error }) => `${error}`,
  },
};
const COUNT: AnyFigure = { name: 'count', blocks: { count: () => 'There are 8 layers.' } };

const ORIGIN = {
  ...{ date: '2026-11-30T00:00:00.000Z', commit: 'abc1234', cpu: 'a processor', cores: 2, memoryGiB: 24 },
  ...{ gpu: 'none', node: '20.20.2', tensorflow: '2.21.0' },
};
const RECORD = { ...ORIGIN, commands: [COMMAND], result: { error: 0.143 } };
const PAGE = `# Errors

<!-- figures: error/table -->
<!-- end figures -->

The error is <!-- figures: error/inline --><!-- end figures --> here.

<!-- figures: count -->
<!-- end figures -->
`;

/** A small clone with a page of two figures that fit. */
function clone(t: TestContext): { root: string; edit(file: string, change: (text: string) => string): void } {
  const root = mkdtempSync(join(tmpdir(), 'alexnet-split-figures-'));
  t.after(() => rmSync(root, { recursive: true }));
  for (const name of ['docs', 'benchmarks']) mkdirSync(join(root, name));
  for (const name of ['README.md', 'CONTRIBUTING.md']) writeFileSync(join(root, name), '');
  writeFileSync(join(root, 'docs', 'errors.md'), PAGE);
  writeFileSync(join(root, 'benchmarks', 'error.json'), JSON.stringify(RECORD));
  const { texts } = textsOf(root, [ERROR, COUNT]);
  assert.deepEqual(
    writePages(root, (name) => texts.get(name)),
    ['docs/errors.md'],
  );
  const edit = (file: string, change: (text: string) => string) => {
    writeFileSync(join(root, file), change(readFileSync(join(root, file), 'utf8')));
  };
  return { root, edit };
}

test('writePages() writes whole blocks and parts of a line', async (t) => {
  const { root } = clone(t);
  assert.equal(
    readFileSync(join(root, 'docs', 'errors.md'), 'utf8'),
    PAGE.replace('table -->\n<', 'table -->\n\n| error | cores |\n| --- | --- |\n| 0.143 | 2 |\n\n<')
      .replace('inline --><', 'inline -->0.143<')
      .replace('count -->\n<', 'count -->\n\nThere are 8 layers.\n\n<'),
  );
  assert.deepEqual(await faultsOf(root, [ERROR, COUNT]), []);
});

/** A change of the clone or of its makers, and the only fault that it makes. */
const FAULTS: Record<
  string,
  { file?: string; change?: (text: string) => string; figures?: AnyFigure[]; found: RegExp | RegExp[] }
> = {
  'a changed page': {
    ...{ file: 'docs/errors.md', change: (text) => text.replace('| 0.143 |', '| 0.142 |') },
    found: /^docs\/errors\.md: the block error\/table is not what its maker gives now/,
  },
  'a changed sentence': {
    ...{ file: 'docs/errors.md', change: (text) => text.replace('8 layers', '9 layers') },
    found: /^docs\/errors\.md: the block count is not/,
  },
  'a changed record': {
    ...{ file: 'benchmarks/error.json', change: (text) => text.replace('0.143', '0.15') },
    found: [/the block error\/table is not/, /the block error\/inline is not/],
  },
  'a record without a field': {
    ...{ file: 'benchmarks/error.json', change: (text) => text.replace('"cpu"', '"processor"') },
    found: /^benchmarks\/error\.json cannot be used: cpu: /,
  },
  'a flag that does not exist any more': {
    ...{ file: 'benchmarks/error.json', change: (text) => text.replace('--epochs', '--rounds') },
    found: [/was made by other commands/, /^error: "npm run .* --rounds 3" does not run any more: unknown option/],
  },
  'a page without a block of its maker': {
    ...{ file: 'docs/errors.md', change: (text) => text.replace(/<!-- figures: count -->[\s\S]*/, '') },
    found: /^no page has a block <!-- figures: count -->/,
  },
  'a block without an end': {
    ...{ file: 'docs/errors.md', change: (text) => `${text}<!-- figures: count -->\n` },
    found: /^docs\/errors\.md: 1 comments of figures/,
  },
  'a block of a test that does not exist': {
    file: 'docs/errors.md',
    change: (text) => `${text}<!-- figures: by test/nothing.test.ts -->\n5\n<!-- end figures -->\n`,
    found: /the block "by test\/nothing\.test\.ts": no such file/,
  },
  'a maker without a record': {
    figures: [ERROR, COUNT, { ...ERROR, name: 'other', blocks: {} }, { ...ERROR, name: 'third' }],
    file: 'docs/errors.md',
    change: (text) =>
      `${text}<!-- figures: third/table -->\n<!-- end figures --> <!-- figures: third/inline --><!-- end figures -->\n`,
    found: [/there is no benchmarks\/third\.json for the block third\/table/, /for the block third\/inline/],
  },
  'a block and a record without a maker': {
    figures: [COUNT],
    found: [
      /^docs\/errors\.md: no maker in scripts\/figures\/ gives the block error\/table/,
      /gives the block error\/inline/,
      /^benchmarks\/error\.json has no maker/,
    ],
  },
};

for (const [name, { file, change, figures = [ERROR, COUNT], found }] of Object.entries(FAULTS)) {
  test(`faultsOf() finds ${name}`, async (t) => {
    const { root, edit } = clone(t);
    if (file && change) edit(file, change);
    const faults = await faultsOf(root, figures);
    const expected = [found].flat();
    assert.equal(faults.length, expected.length, faults.join('\n'));
    for (const [i, each] of expected.entries()) assert.match(faults[i]!, each);
  });
}

test('doubtsOf() names records that no commit of the clone gives again', (t) => {
  const { root } = clone(t);
  const of = (commit: string, has: (commit: string) => boolean | undefined) => {
    writeFileSync(join(root, 'benchmarks', 'error.json'), JSON.stringify({ ...RECORD, commit }));
    return doubtsOf(root, [ERROR, COUNT], has);
  };
  assert.deepEqual(
    of('1234567', (commit) => commit === '1234567'),
    [],
  );
  assert.deepEqual(
    of('1234567', () => undefined),
    [],
  );
  const again = 'make it again: npm run figures -- error';
  assert.deepEqual(
    of('1234567', () => false),
    [`benchmarks/error.json is of the commit 1234567, which this clone does not have; ${again}`],
  );
  for (const commit of ['1234567 and changes', 'unknown']) {
    assert.deepEqual(
      of(commit, () => true),
      [`benchmarks/error.json was made from no commit (${commit}); ${again}`],
    );
  }
  writeFileSync(join(root, 'benchmarks', 'error.json'), JSON.stringify({ ...RECORD, commit: '1234567' }));
  assert.deepEqual(doubtsOf(root, [ERROR, COUNT]), [], 'a folder without git');
});

test('refusalOf() names what today’s program refuses, and takes what it does not', async () => {
  const refused: Record<string, RegExp> = {
    'npm run train:split -- --preset tiny': /tiny/,
    'npm run train:split -- --preset mini --activation step': /step/,
    'npm run ablate -- --variants no-norm,no-luck': /no-luck/,
    'npm run verify -- --epochs 3': /unknown option/,
    'npm run eval': /--run/,
    'npm run fly -- --run a': /package\.json has no script fly/,
    'npm run bench -- step --variants pytorch/slow': /slow/,
    'npm run bench -- flight': /flight/,
    'node dist/scripts/fly.js': /there is no scripts\/fly\.ts/,
    'npm train': /expected npm run/,
  };
  for (const [line, reason] of Object.entries(refused)) assert.match(`${await refusalOf(line)}`, reason, line);
  const taken = [
    ...['npm run ablate -- --variants no-norm', 'npm run eval -- --run a', 'npm run train -- --data FOLDER'],
    ...['npm run bench -- step --variants single/on', 'node dist/scripts/soak.js --runs 5', COMMAND],
  ];
  for (const line of taken) assert.equal(await refusalOf(line), undefined, line);
});

test('FIGURES has every figure of scripts/figures/', async () => {
  const folder = new URL('../../scripts/figures/', import.meta.url);
  const files = readdirSync(folder).filter((name) => name.endsWith('.js'));
  assert.ok(files.length > 10);
  for (const file of files) {
    const exported = Object.entries((await import(new URL(file, folder).href)) as Record<string, unknown>);
    for (const [name, value] of exported) {
      const isFigure = typeof value === 'object' && value !== null && 'blocks' in value;
      assert.ok(!isFigure || FIGURES.includes(value as AnyFigure), `${file}: add ${name} to tools/all.ts`);
    }
  }
});

test('benchFile() gives each benchmark a file of its own', () => {
  const lines = new Set(FIGURES.filter(isMaker).flatMap(({ commands }) => commands));
  assert.equal(new Set([...lines].map(benchFile)).size, lines.size);
});

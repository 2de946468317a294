/**
 * Makes the measured figures of README.md and docs/, or checks them: `npm run figures -- --help`. CONTRIBUTING.md says when.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { table } from '../src/cli/format.js';
import { FIGURES } from './figures/tools/all.js';
import { doubtsOf, faultsOf, textsOf } from './figures/tools/check.js';
import { ROOT } from './figures/tools/commands.js';
import { isMaker, type Maker } from './figures/tools/figure.js';
import { blocksOf, pagesIn, readPage, writePages } from './figures/tools/pages.js';
import { readRecord, writeRecord } from './figures/tools/record.js';
import { openRunner } from './figures/tools/runner.js';
import { originNow } from './origin.js';
import { isEntry, print } from './trainer.js';

interface Flags {
  write?: boolean;
  check?: boolean;
  in?: string;
}

/** The names of the figures that a page shows. */
function pagesOf(name: string): string[] {
  return pagesIn(ROOT).filter((page) =>
    blocksOf(page, readPage(ROOT, page)).some((block) => block.name.split('/')[0] === name),
  );
}

function list(): void {
  const rows = FIGURES.map((figure) => {
    const pages = pagesOf(figure.name).join(', ');
    if (!isMaker(figure)) return [figure.name, pages, 'computed', '', '', ''];
    const record = readRecord(ROOT, figure.name);
    const days = record && Math.floor((Date.now() - Date.parse(record.date)) / 86_400_000);
    const age = days === undefined ? 'missing' : `${days} days`;
    const how = record?.converted ? 'taken from a page' : 'measured';
    return [figure.name, pages, record ? how : '', age, record?.commit ?? '', figure.minutes];
  });
  for (const doubt of doubtsOf(ROOT, FIGURES)) print(`warning: ${doubt}`);
  for (const line of table(['figure', 'pages', 'how', 'age', 'commit', 'minutes'], rows)) print(line);
}

async function measure(makers: readonly Maker[], folder: string | undefined): Promise<void> {
  const { commit } = originNow();
  if (!/^[0-9a-f]+$/.test(commit)) {
    print(`warning: the record will name no commit (${commit}): commit what src/ has before you measure`);
  }
  for (const maker of makers) {
    const own = folder === undefined ? mkdtempSync(join(tmpdir(), 'alexnet-split-figures-')) : resolve(folder);
    const started = performance.now();
    try {
      const result = await maker.measure(openRunner(maker.commands, own, print));
      writeRecord(ROOT, maker, result);
    } finally {
      if (folder === undefined) rmSync(own, { recursive: true, force: true });
    }
    print(`${maker.name}: ${((performance.now() - started) / 60_000).toFixed(1)} minutes`);
    write();
  }
}

/** Rewrites the blocks of all pages. */
function write(): void {
  const { texts, faults } = textsOf(ROOT, FIGURES);
  for (const page of writePages(ROOT, (name) => texts.get(name))) print(`written: ${page}`);
  for (const fault of faults) print(fault);
}

/** @throws Error if a name is not that of a maker. */
function makerNamed(name: string): Maker {
  const figure = FIGURES.find((each) => each.name === name);
  if (figure && isMaker(figure)) return figure;
  const makers = FIGURES.filter(isMaker).map((each) => each.name);
  throw new Error(`Cannot measure ${name}: expected one of ${makers.join(', ')}`);
}

async function main(names: readonly string[], flags: Flags): Promise<number> {
  if (flags.check) {
    const faults = await faultsOf(ROOT, FIGURES);
    for (const fault of faults) print(fault);
    for (const doubt of doubtsOf(ROOT, FIGURES)) print(`warning: ${doubt}`);
    return faults.length === 0 ? 0 : 1;
  }
  if (flags.write) write();
  else if (names.length === 0) list();
  else await measure(names.map(makerNamed), flags.in);
  return 0;
}

if (isEntry(import.meta.url)) {
  await new Command('figures')
    .description('Lists the measured figures of the pages, measures them, and writes them into the pages.')
    .argument('[names...]', 'figures to measure; none: list them')
    .option('--write', 'write the pages from benchmarks/*.json, and measure nothing')
    .option('--check', 'say what is wrong with pages and records, and change nothing')
    .option('--in <folder>', 'run the commands there and keep what they leave: finished runs are not trained again')
    .action(async (names: string[], flags: Flags) => {
      process.exitCode = await main(names, flags);
    })
    .parseAsync();
}

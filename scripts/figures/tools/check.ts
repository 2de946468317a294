/** What is wrong with the figures of a clone, without measuring: pages, records and makers have to fit one another. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { refusalOf } from './commands.js';
import { type AnyFigure, type FigureRecord, isMaker } from './figure.js';
import { blocksOf, type FoundBlock, framed, pagesIn, readPage, strayComments } from './pages.js';
import { readRecord, recordFile, recordNames } from './record.js';

const AGAIN = (name: string) => `npm run figures -- ${name}`;

/** @param root the clone. @returns one sentence for each fault. */
export async function faultsOf(root: string, figures: readonly AnyFigure[]): Promise<string[]> {
  const { texts, faults } = textsOf(root, figures);
  const found = pagesIn(root).flatMap((page) => {
    const content = readPage(root, page);
    const stray = strayComments(content);
    if (stray !== 0) faults.push(`${page}: ${stray} comments of figures begin or end no block`);
    return blocksOf(page, content);
  });
  for (const block of found) faults.push(...faultsOfBlock(root, block, texts, figures));
  for (const name of texts.keys()) {
    if (!found.some((block) => block.name === name)) faults.push(`no page has a block <!-- figures: ${name} -->`);
  }
  for (const name of recordNames(root)) {
    const isKnown = figures.some((figure) => figure.name === name && isMaker(figure));
    if (!isKnown) faults.push(`${recordFile(name)} has no maker in scripts/figures/: remove it, or write one`);
  }
  return [...faults, ...(await faultsOfCommands(root, figures))];
}

/**
 * Records that no commit gives again: made with changes in `src/`, without git, or of a commit that this clone does not have.
 * They are no faults, because their numbers were measured; they are to be made again when there is time.
 * @param has whether the clone has a commit; undefined if that is not known, as in a clone without history.
 * @returns one sentence for each.
 */
export function doubtsOf(
  root: string,
  figures: readonly AnyFigure[],
  has: (commit: string) => boolean | undefined = commitsOf(root),
): string[] {
  return figures.filter(isMaker).flatMap(({ name }) => {
    const record = recordOrNone(root, name);
    const why = record && doubtOf(record.commit, has);
    return why === undefined ? [] : [`${recordFile(name)} ${why}; make it again: ${AGAIN(name)}`];
  });
}

function doubtOf(commit: string, has: (commit: string) => boolean | undefined): string | undefined {
  if (!/^[0-9a-f]{7,40}$/.test(commit)) return `was made from no commit (${commit})`;
  return has(commit) === false ? `is of the commit ${commit}, which this clone does not have` : undefined;
}

/** Asks git. A clone without its whole history may lack any commit. */
function commitsOf(root: string): (commit: string) => boolean | undefined {
  const git = (...args: string[]) => spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  const isWhole = git('rev-parse', '--is-shallow-repository').stdout?.trim() === 'false';
  return (commit) => (isWhole ? git('merge-base', '--is-ancestor', commit, 'HEAD').status === 0 : undefined);
}

/** The text of every block that makers give now, by the name in its comment; undefined without a record. */
export function textsOf(root: string, figures: readonly AnyFigure[]) {
  const faults: string[] = [];
  const texts = new Map<string, string | undefined>();
  for (const figure of figures) {
    const { name } = figure;
    let record: FigureRecord | undefined;
    try {
      record = isMaker(figure) ? readRecord(root, name) : undefined;
      for (const [block, write] of Object.entries(figure.blocks)) {
        const isMissing = isMaker(figure) && !record;
        texts.set(nameOf(name, block), isMissing ? undefined : write(record?.result as never, record as never));
      }
    } catch (error) {
      faults.push(`${recordFile(name)} cannot be used: ${(error as Error).message}; make it again: ${AGAIN(name)}`);
    }
  }
  return { texts, faults };
}

const nameOf = (figure: string, block: string) => (figure === block ? figure : `${figure}/${block}`);

function faultsOfBlock(
  root: string,
  { page, name, text, isWhole }: FoundBlock,
  texts: ReadonlyMap<string, string | undefined>,
  figures: readonly AnyFigure[],
): string[] {
  const [, test] = /^by (\S+)$/.exec(name) ?? [];
  if (test !== undefined) return existsSync(join(root, test)) ? [] : [`${page}: the block "by ${test}": no such file`];
  const [figure] = name.split('/') as [string];
  if (!texts.has(name)) {
    // A record that cannot be read is a fault of its own.
    const hasBlock = figures.some((each) =>
      Object.keys(each.blocks).some((block) => nameOf(each.name, block) === name),
    );
    return hasBlock ? [] : [`${page}: no maker in scripts/figures/ gives the block ${name}`];
  }
  const made = texts.get(name);
  if (made === undefined) return [`${page}: there is no ${recordFile(figure)} for the block ${name}: ${AGAIN(figure)}`];
  if (framed(made, isWhole) === text) return [];
  return [`${page}: the block ${name} is not what its maker gives now: npm run figures -- --write`];
}

/** Commands that today's program refuses, and records that other commands made than the maker has. */
async function faultsOfCommands(root: string, figures: readonly AnyFigure[]): Promise<string[]> {
  const faults: string[] = [];
  for (const maker of figures.filter(isMaker)) {
    const { name, commands } = maker;
    const record = recordOrNone(root, name);
    if (record && !record.converted && JSON.stringify(record.commands) !== JSON.stringify(commands)) {
      faults.push(`${recordFile(name)} was made by other commands than its maker has: ${AGAIN(name)}`);
    }
    for (const line of new Set([...commands, ...(record?.commands ?? [])])) {
      const refusal = await refusalOf(line);
      if (refusal !== undefined) faults.push(`${name}: "${line}" does not run any more: ${refusal}`);
    }
  }
  return faults;
}

function recordOrNone(root: string, name: string): FigureRecord | undefined {
  try {
    return readRecord(root, name);
  } catch {
    return undefined; // a fault of its own
  }
}

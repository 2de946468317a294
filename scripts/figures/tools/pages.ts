/** Finds the blocks of figures on the pages, and replaces their text. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface FoundBlock {
  /** Path relative to the root. */
  page: string;
  /** `NAME`, `NAME/BLOCK`, or `by PATH` for a block that a test compares with the code. */
  name: string;
  /** Between the two comments. */
  text: string;
  /** Whether it begins on a line of its own. Otherwise it is a part of a line. */
  isWhole: boolean;
}

/** Comments between backticks are quoted. */
const BLOCK = /(?<!`)<!-- figures: ([^>]*?) -->([\s\S]*?)<!-- end figures -->(?!`)/g;

/** README.md, CONTRIBUTING.md and docs/*.md, relative to the root. */
export function pagesIn(root: string): string[] {
  const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
  return ['README.md', 'CONTRIBUTING.md', ...docs.map((name) => `docs/${name}`)];
}

export function readPage(root: string, page: string): string {
  return readFileSync(join(root, page), 'utf8');
}

export function blocksOf(page: string, content: string): FoundBlock[] {
  return [...content.matchAll(BLOCK)].map(([, name, text]) => ({
    ...{ page, name: name!, text: text! },
    isWhole: text!.startsWith('\n'),
  }));
}

/** How many of the comments on a page belong to no block. */
export function strayComments(content: string): number {
  const all = content.match(/(?<!`)<!-- (?:figures: |end figures)/g)?.length ?? 0;
  const inBlocks = [...content.matchAll(BLOCK)].filter(([, , text]) => !text!.includes('<!-- figures: '));
  return all - 2 * inBlocks.length;
}

/** The text of a block with the blank lines that Markdown needs around it. */
export function framed(text: string, isWhole: boolean): string {
  return isWhole ? `\n\n${text.trim()}\n\n` : text.trim();
}

/** Rewrites the blocks of the pages. @param textOf the text of a block; undefined leaves it. @returns the changed pages. */
export function writePages(root: string, textOf: (name: string) => string | undefined): string[] {
  return pagesIn(root).filter((page) => {
    const content = readPage(root, page);
    const written = content.replace(BLOCK, (whole, name: string, text: string) => {
      const made = textOf(name);
      if (made === undefined) return whole;
      return `<!-- figures: ${name} -->${framed(made, text.startsWith('\n'))}<!-- end figures -->`;
    });
    if (written !== content) writeFileSync(join(root, page), written);
    return written !== content;
  });
}

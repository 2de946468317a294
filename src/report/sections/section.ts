/** What the sections of a page share. */
import type { RunReport } from '../model.js';
import type { Draw } from './draw.js';
import { type Content, html, Markup } from './markup.js';

export interface Section {
  /** Unique in the page; letters, digits and `-`. */
  id: string;
  title: string;
  body: Markup;
}

/** What a section is made from. */
export interface Source {
  runs: readonly RunReport[];
  /** Names of the runs, all different. */
  names: readonly string[];
  draw: Draw;
  /** Address of a run's checkpoint, relative to the page, if there can be a link. */
  linkTo: (run: RunReport, checkpointFolder: string) => string | undefined;
}

/** A sentence instead of what the log lacks. */
export function missing(sentence: string): Markup {
  return html`<p class="missing">${sentence}</p>`;
}

/** One block for each run, side by side where there is space; with a heading each if there are several. */
export function perRun(
  { runs, names }: Source,
  block: (run: RunReport, i: number) => Content,
  heading: 'h2' | 'h3' = 'h3',
): Markup {
  if (runs.length === 1) return html`${block(runs[0]!, 0)}`;
  const tag = new Markup(heading);
  return html`<div class="columns">${runs.map(
    (
      run,
      i,
    ) => html`<div class="column"><${tag} class="run-name"><span class="dot tone-${i}"></span>${names[i]}</${tag}>
${block(run, i)}</div>`,
  )}</div>`;
}

/** The name of a series: with the run's name in front if the page has several runs. */
export function prefix({ names }: Source, run: number): string {
  return names.length > 1 ? `${names[run]}: ` : '';
}

/** The name of the only series of each run: the run's name, if there are several. */
export function only({ names }: Source, run: number, what: string): string {
  return names.length > 1 ? names[run]! : what;
}

/** `a`, `a and b`, `a, b and c`. */
export function list(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

/**
 * The page of a report: one HTML file without a request to anywhere. Its text and tables are complete without a script;
 * the script in it (`page/`, bundled with Apache ECharts) draws the charts.
 *
 * A live page, for `report --follow`: serve `reportPage(report, { live: 'live.json' })`, and at that address, relative to
 * the page's, `JSON.stringify(livePage(report))` as `application/json` with `Cache-Control: no-store`. The page fetches it
 * every two seconds, with its own query string if the address has none, so that a token in the page's address goes along.
 * It replaces the text and redraws the charts, and keeps what is zoomed, scrolled to, opened and focused. A reply with
 * status 304 changes nothing; after another failure the page says so and tries again. It stops when it is hidden, and
 * after a reply with the header `Report-Final: yes`.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { SplitError } from '../errors.js';
import { printable } from '../printable.js';
import { namesOf } from './compare.js';
import type { Figure, LivePage } from './figure.js';
import type { Report, RunReport } from './model.js';
import { comparison, differences, pairHeading } from './sections/compare.js';
import { drawInto } from './sections/draw.js';
import { checkpoints, config, logFacts, warnings } from './sections/facts.js';
import { groupCurves, groupTable, manyHeading, runsOfGroups, settingsOfRuns } from './sections/groups.js';
import { html, Markup } from './sections/markup.js';
import { activations, kernels } from './sections/net.js';
import type { Section, Source } from './sections/section.js';
import { runHeading, summary } from './sections/summary.js';
import { stepTime, timeline } from './sections/time.js';
import { exchange, memory } from './sections/traffic.js';
import { speed, training } from './sections/training.js';

export interface PageOptions {
  /** Folder in which the page will be, for links to checkpoints. By default the run's; of several runs, the parent of the first one's. */
  folder?: string;
  /** Address of the live data, relative to the page. Then there are no links to files. */
  live?: string;
  /** ms between two looks at the live data. 2000 by default. */
  everyMs?: number;
}

/**
 * Makes the page.
 * @returns HTML, less than 2 MB for a report within its bounds.
 * @throws SplitError if the script of the page is missing, because the package was compiled without it.
 */
export function reportPage(report: Report, options: PageOptions = {}): string {
  const { script, style } = bundle();
  const { title, main, figures } = livePage(report, options);
  const policy = [
    ...["default-src 'none'", `script-src 'sha256-${createHash('sha256').update(script).digest('base64')}'`],
    ...["style-src 'unsafe-inline'", 'img-src data:', "base-uri 'none'", "form-action 'none'"],
    ...(options.live === undefined ? [] : ["connect-src 'self'"]),
  ].join('; ');
  return `<!doctype html>\n${
    html`<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="alexnet-split ${report.version}">
${options.live !== undefined && html`<meta name="live" content="${options.live}" data-every="${options.everyMs ?? 2000}">`}
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${new Markup(style)}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
<div class="top script-only" role="region" aria-label="Appearance">
<p id="live" role="status"></p>
<button type="button" id="theme">Dark</button>
</div>
<noscript><p class="noscript">The charts need JavaScript. The text and the tables below them have the same numbers.</p></noscript>
<main id="main" tabindex="-1">${new Markup(main)}</main>
<footer><p>Made by alexnet-split ${report.version} from the log alone. Charts: Apache ECharts.</p></footer>
<script type="application/json" id="figures">${new Markup(jsonInHtml(figures))}</script>
<script>${new Markup(script)}</script>
</body>
</html>
`.text
  }`;
}

/** What changes in a page while the run goes on. */
export function livePage(report: Report, options: PageOptions = {}): LivePage {
  const figures: Figure[] = [];
  const { runs } = report;
  const source: Source = {
    runs,
    names: runs.map(namesOf(runs)),
    draw: drawInto(figures),
    linkTo: linker(runs, options),
  };
  const [heading, sections] = contents(report, source);
  const main = html`<header>${heading}</header>
<nav aria-label="Sections"><ul>${sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)}</ul></nav>
${sections.map(
  ({ id, title, body }) => html`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>
${body}
</section>
`,
)}`;
  const title = `${report.groups ? `${runs.length} runs` : source.names.join(' against ')} – alexnet-split report`;
  return { title, main: main.text, figures: figures.map(shortened) };
}

function contents(report: Report, source: Source): [Markup, Section[]] {
  const { groups, runs } = report;
  if (groups && (runs.length !== 1 || groups.length > 1)) {
    return [
      manyHeading(source, groups),
      [groupTable(source, groups), groupCurves(source, groups), runsOfGroups(source), settingsOfRuns(source)],
    ];
  }
  const common = [training, speed, stepTime, timeline, exchange, memory, kernels, activations, warnings, checkpoints];
  const sections = [...common, config, logFacts].map((each) => each(source));
  if (runs.length === 1) return [runHeading(runs[0]!), [summary(source), ...sections]];
  sections.splice(common.length, 0, differences(source));
  return [pairHeading(source), [comparison(source, report.comparison), ...sections]];
}

/** Links are relative to the page's folder, so that the folder of the runs can be moved with the page. */
function linker(runs: readonly RunReport[], { folder, live }: PageOptions): Source['linkTo'] {
  const base = folder ?? (runs.length === 1 ? runs[0]!.folder : join(runs[0]?.folder ?? '.', '..'));
  return (run, checkpoint) => {
    if (live !== undefined) return undefined;
    const path = relative(base, join(run.folder, 'checkpoints', basename(checkpoint)));
    return `./${path.split(/[\\/]/).map(encodeURIComponent).join('/')}/`;
  };
}

/** With numbers of five digits, more of which no chart shows, whole numbers as they are, and no marks that reorder text. */
function shortened(figure: Figure): Figure {
  return JSON.parse(
    JSON.stringify(figure, (_, value) => {
      if (typeof value === 'number' && !Number.isInteger(value)) return Number(value.toPrecision(5));
      return typeof value === 'string' ? printable(value) : value;
    }),
  );
}

/** JSON for a script element. No text in it can end the element. */
function jsonInHtml(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll('<', '\\u003c')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029');
}

let loaded: { script: string; style: string } | undefined;

/** The script and the style of the page. */
function bundle() {
  try {
    loaded ??= JSON.parse(readFileSync(new URL('page.json', import.meta.url), 'utf8')) as NonNullable<typeof loaded>;
    return loaded;
  } catch (error) {
    throw new SplitError(
      `Cannot make the page: its script page.json is missing or damaged; install alexnet-split again, or run npm run build in a clone`,
      { cause: error },
    );
  }
}

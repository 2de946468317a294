/** The top of a page of two runs. */
import { LARGE_RATIO } from '../compare.js';
import type { Comparison } from '../model.js';
import { configDifferences } from './facts.js';
import { html, type Markup } from './markup.js';
import { missing, perRun, type Section, type Source } from './section.js';
import { about, keyTable, statusLine } from './summary.js';

export function pairHeading(source: Source): Markup {
  const { names } = source;
  return html`<p class="kicker">Report of two runs</p>
<h1>${names[0]} <span class="against">against</span> ${names[1]}</h1>
${perRun(source, (run) => html`${statusLine(run)}${about(run)}`, 'h2')}`;
}

export function comparison(source: Source, compared: Comparison | undefined): Section {
  const { runs } = source;
  const limits = perRun(source, ({ time }) =>
    time ? html`<p>${time.limit}</p>` : missing('Too few steps to say what limits them.'),
  );
  return {
    ...{ id: 'summary', title: 'Comparison' },
    body: html`${
      compared
        ? html`<div class="ratio">${compared.comparable && compared.ratio >= LARGE_RATIO && ratio(compared)}<p class="sentence">${compared.sentence}</p></div>`
        : missing('The speeds cannot be compared: one of the logs has too few steps.')
    }
${keyTable(source)}
${runs.some(({ time }) => time) && limits}`,
  };
}

function ratio({ ratio, faster, slower }: Comparison): Markup {
  return html`<p class="ratio-value"><b>${ratio.toPrecision(3)}×</b><span>images per second of ${faster}, divided by those of ${slower}</span></p>`;
}

export function differences(source: Source): Section {
  return { id: 'differences', title: 'Different settings', body: configDifferences(source) };
}

/** What else the log says: warnings, checkpoints, settings, and the state of the log itself. */
import { count } from '../../numbers.js';
import type { RunReport } from '../model.js';
import { bytes } from '../units.js';
import { html, type Markup, table } from './markup.js';
import { missing, perRun, type Section, type Source } from './section.js';

export function warnings(source: Source): Section {
  return {
    ...{ id: 'warnings', title: 'Warnings' },
    body: perRun(source, ({ warnings, furtherWarnings }) => {
      if (warnings.length === 0) return missing('The log has no warning.');
      const items = warnings.map(
        ({ step, kind, message }) =>
          html`<li>${step !== null && html`<b>Step ${count(step)}.</b> `}${message}${kind && html` <span class="kind">${kind}</span>`}</li>`,
      );
      return html`<ul class="warnings">${items}</ul>
${furtherWarnings > 0 && html`<p>${count(furtherWarnings)} more in the log.</p>`}`;
    }),
  };
}

export function checkpoints(source: Source): Section {
  return {
    ...{ id: 'checkpoints', title: 'Checkpoints' },
    body: perRun(source, (run, i) => {
      if (run.checkpoints.length === 0) return missing('The log has no checkpoint.');
      const rows = run.checkpoints.map(({ step, folder, bytes: size, exists }) => {
        const link = exists ? source.linkTo(run, folder) : undefined;
        return [
          count(step),
          link === undefined ? folder : html`<a href="${link}">${folder}</a>`,
          bytes(size),
          exists ? 'yes' : 'removed',
        ];
      });
      return table(
        `Checkpoints${source.names.length > 1 ? ` of ${source.names[i]}` : ''}`,
        ['step', 'folder', 'size', 'still there'],
        rows,
      );
    }),
  };
}

/** Settings with dotted names, such as `optimizer.momentum`. */
export function flatten(value: unknown, name = ''): [name: string, value: string][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return [[name, JSON.stringify(value) ?? '–']];
  return Object.entries(value).flatMap(([key, each]) => flatten(each, name === '' ? key : `${name}.${key}`));
}

export function config(source: Source): Section {
  const { runs, names } = source;
  return {
    ...{ id: 'config', title: 'Settings' },
    body: perRun(source, ({ start }, i) => {
      if (!start) return missing('The log has no run_start, so the settings are not known.');
      const entries = flatten(start.config);
      return html`<details id="config-${i}"><summary>All ${count(entries.length)} settings</summary>
${table(`Settings${runs.length > 1 ? ` of ${names[i]}` : ''}`, ['setting', 'value'], entries)}</details>`;
    }),
  };
}

/** Settings that differ between the runs. At most 200, and 12 runs. */
export function configDifferences({ runs, names }: Source): Markup {
  const known = runs
    .flatMap(({ start }, i) => (start ? [{ name: names[i]!, settings: new Map(flatten(start.config)) }] : []))
    .slice(0, 12);
  if (known.length < 2) return missing('Fewer than two of the logs have settings, so there is nothing to compare.');
  const all = [...new Set(known.flatMap(({ settings }) => [...settings.keys()]))];
  const different = all.filter((key) => new Set(known.map(({ settings }) => settings.get(key))).size > 1).slice(0, 200);
  if (different.length === 0) return html`<p>All settings are the same.</p>`;
  const rows = different.map((key) => [key, ...known.map(({ settings }) => settings.get(key))]);
  return table('Settings that differ', ['setting', ...known.map(({ name }) => name)], rows);
}

export function logFacts(source: Source): Section {
  return { id: 'log', title: 'The log', body: perRun(source, factsOf) };
}

function factsOf({ log }: RunReport): Markup {
  const {
    lines,
    bytes: size,
    problems,
    firstProblems,
    unknownEvents,
    unknownFields,
    repeatedSteps,
    newerVersion,
  } = log;
  const facts = [
    `${count(lines)} ${lines === 1 ? 'line' : 'lines'}, ${bytes(size)}.`,
    newerVersion !== undefined && `Version ${newerVersion} of alexnet-split wrote it, which is newer than this one.`,
    unknownEvents + unknownFields > 0 &&
      `Not known to this version, and left out: ${count(unknownEvents)} events and ${count(unknownFields)} fields.`,
    repeatedSteps > 0 && `${count(repeatedSteps)} steps were done again after a resume; the later lines count.`,
    problems === 0
      ? 'Every line is a valid event.'
      : `${count(problems)} ${problems === 1 ? 'line is' : 'lines are'} no valid event, and left out:`,
  ];
  return html`<ul>${facts.filter((each) => each !== false).map((each) => html`<li>${each}</li>`)}</ul>
${
  firstProblems.length > 0 &&
  table(
    'The first lines that are not valid',
    ['line', 'what is wrong'],
    firstProblems.map(({ line, message }) => [count(line), message]),
  )
}`;
}

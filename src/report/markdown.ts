/** A report as Markdown, as GitHub shows it. */
import { TRACE_PARTS } from '../log.js';
import { count, duration, imagesText } from '../numbers.js';
import { printable } from '../printable.js';
import { namesOf } from './compare.js';
import { ms } from './limit.js';
import type { Finite, Group, Report, RunReport, StepTime } from './model.js';
import { settingsOf, towerNames } from './settings.js';
import { bytes as size } from './units.js';

/** How many evaluations, warnings and checkpoints are listed: the newest ones. */
const MOST_ROWS = 20;
/** Of a traced step. */
const OTHER_MEANS =
  '“Other” is the time between two ops; on CPUs also the time in which an op is ready, but the cores are busy.';
/** Points of the curves. */
const MOST_POINTS = 10;

/** Lines, without their ends. */
export function markdownLines({ runs, comparison, groups, version }: Report): string[] {
  const nameOf = namesOf(runs);
  return [
    `# ${runs.length === 1 ? `Run ${escaped(nameOf(runs[0]!))}` : `${runs.length} runs`}`,
    '',
    ...(comparison ? [escaped(comparison.sentence), ''] : []),
    ...(groups ? groupTable(groups) : []),
    ...(runs.length > 1 ? runTable(runs, nameOf) : []),
    ...runs.flatMap((run) => runLines(run, runs.length > 1 ? nameOf(run) : undefined)),
    `Made by alexnet-split ${escaped(version)}.`,
  ];
}

function networkLines({ network }: RunReport): string[] {
  const { links, steps } = network ?? { links: [], steps: 1 };
  return table(
    ['from', 'to', 'counted', 'measured'],
    links.map(({ from, to, counted_bytes: counted, measured_bytes: measured }) => [
      ...[escaped(from), escaped(to), count(Math.round(counted / steps))],
      measured === undefined ? '' : count(Math.round(measured / steps)),
    ]),
  );
}

function groupTable(groups: readonly Group[]): string[] {
  const interval = ({ low, high, interval: kind, runs }: Group) => {
    if (kind === 'none') return '';
    return `${percent(low)} to ${percent(high)} (${kind === 'seeds' ? `${runs.length} seeds` : 'test images'})`;
  };
  return table(
    ['group', 'changed', 'runs', 'test accuracy', '95 % interval', 'test loss', 'images/s'],
    groups.map((group) => [
      ...[escaped(group.name), escaped(group.change ?? ''), String(group.runs.length), percent(group.top1)],
      ...[interval(group), fixed(group.testLoss, 4), fixed(group.imagesPerSecond, 0)],
    ]),
  );
}

function runTable(runs: readonly RunReport[], nameOf: (run: RunReport) => string): string[] {
  return table(
    ['run', 'placement', 'status', 'steps', 'test accuracy', 'images/s', 'step', '95 % of steps below'],
    runs.map((run) => [
      ...[escaped(nameOf(run)), escaped(run.start?.placement ?? ''), run.status, count(run.steps)],
      ...[percent(run.evals.at(-1)?.top1 ?? null), fixed(run.time?.imagesPerSecond ?? null, 0)],
      ...[run.time ? ms(run.time.mean) : '', run.time ? ms(run.time.p95) : ''],
    ]),
  );
}

/** @param name for a heading of its own. */
function runLines(run: RunReport, name: string | undefined): string[] {
  const { evals, warnings, furtherWarnings, checkpoints } = run;
  const more = warnings.length - MOST_ROWS + furtherWarnings;
  const shown = checkpoints.slice(-MOST_ROWS).filter(({ exists }) => exists);
  return [
    ...(name === undefined ? [] : [`## ${escaped(name)}`, '']),
    ...factLines(run),
    ...(run.time ? section('Time of a step', timeLines(run.time, run.start)) : []),
    ...section('Traced step', traceLines(run)),
    ...section('Training', trainingLines(run)),
    ...section(
      'Evaluations',
      table(
        ['step', 'epoch', 'loss', 'top-1', 'top-5', 'images'],
        evals
          .slice(-MOST_ROWS)
          .map((each) => [
            ...[count(each.step), count(each.epoch), fixed(each.loss, 4), percent(each.top1), percent(each.top5)],
            count(each.images),
          ]),
      ),
    ),
    ...section(
      'Bytes exchanged in a step',
      table(
        ['cross-connection', 'forward', 'backward'],
        run.exchange.map(({ site, forward, backward }) => [escaped(site), count(forward), count(backward)]),
      ),
    ),
    ...section('Bytes over the network in a step', networkLines(run)),
    ...section('Memory', memoryLines(run)),
    ...section(
      'First-layer kernels',
      table(
        ['tower', 'kernels', 'colour share', 'mostly colour'],
        run.kernels.map((each) => [
          ...[String(each.tower), count(each.kernels), fixed(each.colourShare, 3), count(each.colourKernels)],
        ]),
      ),
    ),
    ...section('Activations', activationLines(run)),
    ...section('Warnings', [
      ...warnings
        .slice(0, MOST_ROWS)
        .map(({ step, message }) => `- ${step === null ? '' : `step ${count(step)}: `}${escaped(message)}`),
      ...(more > 0 ? [`- and ${count(more)} more`] : []),
      ...(warnings.length > 0 ? [''] : []),
    ]),
    ...section('Checkpoints', [
      ...shown.map(({ step, folder, bytes }) => `- step ${count(step)}: ${escaped(folder)}, ${size(bytes)}`),
      ...(shown.length > 0 ? [''] : []),
    ]),
  ];
}

function factLines(run: RunReport): string[] {
  const { start, check, status, error, steps, images, started, ended, log, folder } = run;
  const last = run.evals.at(-1);
  const length = started !== null && ended !== null ? `, ${duration(ended - started)}` : '';
  const settings = start && settingsOf(start);
  const devices = start?.towers.map(({ tower, device }) => `${towerNames(start)(tower)} on ${device}`).join(', ');
  const logFacts = [
    `${count(log.lines)} lines`,
    ...(log.problems > 0
      ? [`${count(log.problems)} that are no events (first: line ${log.firstProblems[0]!.line})`]
      : []),
    ...(log.stepsPerLine > 1 ? [`up to ${count(log.stepsPerLine)} steps each`] : []),
    ...(log.repeatedSteps > 0 ? [`${count(log.repeatedSteps)} steps that a later line replaced`] : []),
    ...(log.newerVersion === undefined ? [] : [`written by the newer version ${log.newerVersion}`]),
    ...(log.unknownEvents > 0 ? [`${count(log.unknownEvents)} events not known here`] : []),
    ...(log.unknownFields > 0 ? [`${count(log.unknownFields)} fields not known here`] : []),
  ];
  return [
    `- ${status}: ${count(steps)} steps, ${count(images)} images${length}${error === undefined ? '' : `: ${escaped(error)}`}`,
    ...(last
      ? [`- test accuracy ${percent(last.top1)}, ${count(last.images)} test images, at step ${count(last.step)}`]
      : []),
    ...(start
      ? [
          `- preset ${escaped(start.preset)}, net ${escaped(settings!.table)}, ${count(start.parameters)} parameters, batches of ${escaped(settings!.batchSize)} images`,
          `- ${start.placement}: ${escaped(devices!)}; TensorFlow ${escaped(start.versions.tensorflow)}, Node.js ${escaped(start.versions.node)}`,
          `- data ${escaped(start.dataset.name)}: ${imagesText(start.dataset)}`,
        ]
      : []),
    ...(check ? [`- split and reference ${check.passed ? 'agree' : 'DIFFER'}`] : []),
    `- log in ${escaped(folder)}: ${escaped(logFacts.join(', '))}`,
    '',
  ];
}

function timeLines(
  { steps, mean, median, p95, parts, towers, imagesPerSecond, limit }: StepTime,
  start: RunReport['start'],
): string[] {
  const share = (value: number) => percent(value / mean);
  const cells = (name: string, device: string, compute: number, exchange: number, wait: number) => [
    ...[name, escaped(device), ms(compute), share(compute), ms(exchange), share(exchange), ms(wait), share(wait)],
  ];
  return [
    escaped(limit),
    '',
    `${count(steps)} steps, mean ${ms(mean)}, median ${ms(median)}, 95 % below ${ms(p95)}; ${count(Math.round(imagesPerSecond))} images/s. Waiting for data takes ${ms(parts.data)}, commands between the threads ${ms(parts.other)}. Shares are of the mean step.`,
    '',
    ...table(
      ['tower', 'device', 'compute', 'share', 'exchange', 'share', 'wait', 'share'],
      towers.map((each) => cells(cellOf(start, each.tower), each.device, each.compute, each.exchange, each.wait)),
    ),
  ];
}

/** A tower in a column of towers: its number, or a longer name among several replicas. */
function cellOf(start: RunReport['start'], tower: number): string {
  return towerNames(start)(tower).replace(/^tower (?=\d+$)/, '');
}

/** The newest one. */
function traceLines({ traces, start }: RunReport): string[] {
  const last = traces.at(-1);
  if (!last) return [];
  const parts = TRACE_PARTS.filter((part) => last.towers.some(({ parts_ms }) => parts_ms[part] > 0));
  const rows = last.towers.map(({ tower, parts_ms, hidden_exchange_ms: hidden }) => [
    ...[cellOf(start, tower), ...parts.map((part) => ms(parts_ms[part])), ms(hidden)],
  ]);
  return [
    `Step ${count(last.step)}, ${ms(last.step_ms)}. The parts do not overlap. ${OTHER_MEANS} “Hidden exchange” is the time of the exchange that computing hides.`,
    '',
    ...table(['tower', ...parts, 'hidden exchange'], rows),
  ];
}

/** Some points of the curves. */
function trainingLines({ loss, top1, learningRate }: RunReport): string[] {
  const all = loss.step.length;
  const shown = Math.min(MOST_POINTS, all);
  const places = Array.from({ length: shown }, (_, i) => Math.ceil(((i + 1) * all) / shown) - 1);
  return table(
    ['step', 'loss', 'top-1', 'learning rate'],
    places.map((at) => [
      ...[count(loss.step[at]!), fixed(loss.mean[at]!, 4), percent(top1.mean[at]!)],
      ...[learningRate.mean[at] === null ? '' : String(Number(learningRate.mean[at]!.toPrecision(4)))],
    ]),
  );
}

function memoryLines({ memory, start }: RunReport): string[] {
  const last = memory.at(-1);
  if (!last) return [];
  const most = Math.max(...memory.map(({ resident }) => resident));
  const towers = last.towers.map((bytes, tower) => `${towerNames(start)(tower)} ${size(bytes)}`).join(', ');
  return [`Resident: ${size(last.resident)}, at most ${size(most)}. Tensors: ${towers}.`, ''];
}

function activationLines({ activations: { last } }: RunReport): string[] {
  if (!last) return [];
  const rows = last.layers.map((each) => [
    ...[escaped(each.layer), String(each.tower), fixed(each.mean, 3), fixed(each.sd, 3), fixed(each.max, 2)],
    ...[percent(each.zero), fixed(each.signal, 3), each.dead === undefined ? '' : `${each.dead} of ${each.units}`],
  ]);
  return table(
    ['layer', 'tower', 'mean', 'standard deviation', 'largest', 'zeros', 'signal between images', 'dead units'],
    rows,
  );
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`### ${title}`, '', ...lines];
}

/** A table and an empty line; nothing without rows. */
function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return [];
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line), ''];
}

function percent(value: Finite): string {
  return value === null || !Number.isFinite(value) ? '' : `${(value * 100).toFixed(1)} %`;
}

function fixed(value: Finite, digits: number): string {
  return value === null ? '' : value.toFixed(digits);
}

/** A text from elsewhere as text: no markup, one line. */
export function escaped(text: string): string {
  return printable(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replace(/[\\`*_[\]|~$>#]/g, '\\$&');
}

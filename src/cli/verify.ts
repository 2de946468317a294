/** `verify`: compares the split with the reference, or both with a file of reference values. */
import type { ConfigLayer } from '../config/layers.js';
import { nonFiniteAsStrings } from '../log.js';
import { difference, plural } from '../numbers.js';
import type { GoldenResult, VerifyResult } from '../train/index.js';
import { table } from './format.js';
import { gpuWarning, resolveHere } from './machine.js';
import { printConfig } from './print-config.js';
import type { Input, Services } from './services.js';
import { announce, breakSilence } from './silence.js';

export interface VerifyOptions {
  steps: number;
  all?: boolean;
  golden?: string;
  json?: boolean;
  printConfig?: boolean;
}

/** @returns 1 if a difference is out of tolerance, else 0. @throws SplitError for settings or files that cannot be used. */
export async function run(
  { layers, options: { steps, all: isWhole = false, golden, json, printConfig: isPrinted } }: Input<VerifyOptions>,
  services: Services,
): Promise<number> {
  const all: ConfigLayer[] = [...layers, { values: { placement: 'split' } }];
  if (isPrinted) return printConfig(services, all);
  const { config, notes, machine } = await resolveHere(services, all);
  const warning = await gpuWarning(services, machine, all);
  if (warning !== undefined) services.stderr.print(`warning: ${warning}`);
  const { verify, verifyGolden } = await services.loadTrain();
  const print = (...lines: string[]) => (json ? services.stderr : services.stdout).print(...lines);
  const { busy, end } = breakSilence((text) => json || announce(services, text));
  let result: VerifyResult | GoldenResult;
  let lines: string[];
  if (golden !== undefined) {
    busy('comparing both sides with the file');
    result = await verifyGolden(golden, config).finally(end);
    lines = goldenLines(result);
  } else {
    const single = layers.find((layer) => layer.by === 'file' && layer.values.placement === 'single');
    if (single) print(`placement in ${single.file} has no effect: verify compares the split with the reference`);
    print(...notes);
    result = await verify(config, { steps }, { print, busy }).finally(end);
    lines = verifyLines(result, isWhole);
  }
  services.stdout.print(...(json ? [JSON.stringify(nonFiniteAsStrings(result))] : lines));
  return result.passed ? 0 : 1;
}

/** @param isWhole whether every tensor has a line; else the worst of each kind, and those out of tolerance. */
function verifyLines(
  { losses, replicas, rows, passed, firstDivergent, tolerances }: VerifyResult,
  isWhole: boolean,
): string[] {
  const { loss, activation, parameter, gradient } = tolerances;
  return [
    ...table(
      ['step', 'loss, split', 'loss, reference', 'relative'],
      losses.map((each) => [each.step, each.split.toFixed(6), each.reference.toFixed(6), difference(each.relative)]),
    ),
    '',
    ...(isWhole ? rowLines(rows) : [...worstLines(rows), ...wrongLines(rows, tolerances)]),
    '',
    `allowed, relative: losses ${difference(loss)}, activations ${difference(activation)}, parameters ${difference(parameter)}, gradients ${difference(gradient)} of a tensor's largest value`,
    `why: ${tolerances.why} (docs/numerics.md)`,
    ...(replicas && replicas.differing === undefined
      ? [`replicas: the weights of all ${replicas.count} are equal, bit for bit`]
      : []),
    passed
      ? 'passed: split and reference agree'
      : `FAILED: the first difference out of tolerance is in ${firstDivergent ?? 'the loss'}`,
  ];
}

type Rows = VerifyResult['rows'];

function rowLines(rows: Rows): string[] {
  return table(
    ['layer', 'kind', 'tensor', 'absolute', 'relative'],
    rows.map((row) => [row.layer, row.kind, row.name, difference(row.absolute), difference(row.relative)]),
  );
}

/** How many tensors of each kind there are, and the one that differs most. */
function worstLines(rows: Rows): string[] {
  const kinds = [...new Set(rows.map(({ kind }) => kind))];
  const lines = kinds.map((kind) => {
    const own = rows.filter((row) => row.kind === kind);
    // NaN, which nothing is worse than, compares with nothing.
    const worst = own.reduce((a, b) => (a.relative >= b.relative || Number.isNaN(a.relative) ? a : b));
    return [kind, own.length, difference(worst.absolute), difference(worst.relative), worst.name];
  });
  return [
    ...table(['kind', 'tensors', 'worst absolute', 'worst relative', 'in'], lines),
    `${plural(rows.length, 'tensor')} compared; --all prints each`,
  ];
}

/** How many tensors out of tolerance are printed. */
const PRINTED = 20;

function wrongLines(rows: Rows, tolerances: VerifyResult['tolerances']): string[] {
  const wrong = rows.filter(({ kind, relative }) => !(relative <= tolerances[kind]));
  if (wrong.length === 0) return [];
  const more = wrong.length - PRINTED;
  return [
    '',
    `out of tolerance: ${plural(wrong.length, 'tensor')}${more > 0 ? `, of which these are the first ${PRINTED}` : ''}`,
    ...rowLines(wrong.slice(0, PRINTED)),
  ];
}

function goldenLines({ rows, passed }: GoldenResult): string[] {
  return [
    ...table(
      ['side', 'what', 'worst', 'allowed', 'where'],
      rows.map((row) => [row.side, row.kind, difference(row.worst), difference(row.tolerance), row.name]),
    ),
    passed ? 'passed: towers and reference agree with the file' : 'FAILED: out of tolerance',
  ];
}

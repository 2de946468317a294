/** `verify`: compares the split with the reference, or both with a file of reference values. */
import type { ConfigLayer } from '../config/layers.js';
import { nonFiniteAsStrings } from '../log.js';
import { difference } from '../numbers.js';
import type { GoldenResult, VerifyResult } from '../train/index.js';
import { table } from './format.js';
import { gpuWarning, resolveHere } from './machine.js';
import { printConfig } from './print-config.js';
import type { Input, Services } from './services.js';
import { announce, breakSilence } from './silence.js';

export interface VerifyOptions {
  steps: number;
  golden?: string;
  json?: boolean;
  printConfig?: boolean;
}

/** @returns 1 if a difference is out of tolerance, else 0. @throws SplitError for settings or files that cannot be used. */
export async function run(
  { layers, options: { steps, golden, json, printConfig: isPrinted } }: Input<VerifyOptions>,
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
    lines = verifyLines(result);
  }
  services.stdout.print(...(json ? [JSON.stringify(nonFiniteAsStrings(result))] : lines));
  return result.passed ? 0 : 1;
}

function verifyLines({ losses, replicas, rows, passed, firstDivergent, tolerances }: VerifyResult): string[] {
  const { loss, activation, parameter, gradient } = tolerances;
  return [
    ...table(
      ['step', 'loss, split', 'loss, reference', 'relative'],
      losses.map((each) => [each.step, each.split.toFixed(6), each.reference.toFixed(6), difference(each.relative)]),
    ),
    '',
    ...table(
      ['layer', 'kind', 'tensor', 'absolute', 'relative'],
      rows.map((row) => [row.layer, row.kind, row.name, difference(row.absolute), difference(row.relative)]),
    ),
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

function goldenLines({ rows, passed }: GoldenResult): string[] {
  return [
    ...table(
      ['side', 'what', 'worst', 'allowed', 'where'],
      rows.map((row) => [row.side, row.kind, difference(row.worst), difference(row.tolerance), row.name]),
    ),
    passed ? 'passed: towers and reference agree with the file' : 'FAILED: out of tolerance',
  ];
}

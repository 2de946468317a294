/** `verify`: the split against the reference, or both against a reference file. */
import { resolveConfig } from '../config/config.js';
import type { ConfigLayer } from '../config/layers.js';
import { shortText } from '../config/validate.js';
import { ConfigError } from '../errors.js';
import { nonFiniteAsStrings } from '../log.js';
import { difference, table } from './format.js';
import { warnOfGpu } from './gpu-warning.js';
import { lookAround } from './machine.js';
import type { GoldenResult, Services, VerifyResult } from './services.js';

export interface VerifyOptions {
  steps: unknown;
  golden?: string;
  json?: boolean;
}

/** @returns the exit code: 1 when out of tolerance. @throws SplitError for settings or files that make no comparison. */
export async function verifyCommand(
  layers: readonly ConfigLayer[],
  options: VerifyOptions,
  services: Services,
): Promise<number> {
  const { steps } = options;
  if (typeof steps !== 'number' || !Number.isInteger(steps) || steps < 1 || steps > 10_000) {
    throw new ConfigError(`--steps is ${shortText(steps)}, expected a whole number from 1 to 10000`);
  }
  const all: ConfigLayer[] = [...layers, { values: { placement: 'split' } }];
  const machine = await lookAround(services, all);
  const { config, notes } = resolveConfig(all, machine);
  await warnOfGpu(services, all, machine.devices);
  const print = (line: string) => (options.json ? services.stderr : services.stdout).write(`${line}\n`);
  const room = await services.trainRoom();
  if (options.golden !== undefined) {
    const result = await room.verifyGolden(options.golden, config);
    return finish(result, goldenLines(result), options, services);
  }
  const single = layers.find((layer) => layer.by === 'file' && layer.values.placement === 'single');
  if (single) print(`placement in ${single.file} has no effect: it is the split that is compared with the reference`);
  for (const note of notes) print(note);
  const result = await room.verify(config, { steps }, { print });
  return finish(result, verifyLines(result), options, services);
}

function finish(
  result: VerifyResult | GoldenResult,
  lines: readonly string[],
  { json }: VerifyOptions,
  { stdout }: Services,
): number {
  if (json) stdout.write(`${JSON.stringify(nonFiniteAsStrings(result))}\n`);
  else for (const line of lines) stdout.write(`${line}\n`);
  return result.passed ? 0 : 1;
}

function verifyLines({ losses, rows, passed, firstDivergent, tolerances }: VerifyResult): string[] {
  return [
    ...table(
      ['step', 'loss, split', 'loss, reference', 'relative'],
      losses.map(({ step, split, reference, relative }) => [
        step,
        split.toFixed(6),
        reference.toFixed(6),
        difference(relative),
      ]),
    ),
    '',
    ...table(
      ['layer', 'kind', 'tensor', 'absolute', 'relative'],
      rows.map(({ layer, kind, name, absolute, relative }) => [
        layer,
        kind,
        name,
        difference(absolute),
        difference(relative),
      ]),
    ),
    '',
    `allowed, relative: losses ${difference(tolerances.loss)}, activations ${difference(tolerances.activation)}, parameters ${difference(tolerances.parameter)}, gradients ${difference(tolerances.gradient)} of a tensor's largest value`,
    `why: ${tolerances.why} (docs/numerics.md)`,
    passed ? 'passed: split and reference agree' : `FAILED: the first to differ is ${firstDivergent ?? 'the loss'}`,
  ];
}

function goldenLines({ rows, passed }: GoldenResult): string[] {
  return [
    ...table(
      ['side', 'what', 'worst', 'allowed', 'where'],
      rows.map(({ side, kind, worst, tolerance, name }) => [
        side,
        kind,
        difference(worst),
        difference(tolerance),
        name,
      ]),
    ),
    passed ? "passed: towers and reference have the file's values" : 'FAILED: out of tolerance',
  ];
}

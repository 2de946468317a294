/** What the net has learned: kernels of the first layer, and the output of each layer. */

import type { EventOf } from '../../log.js';
import { count } from '../../numbers.js';
import type { RunReport } from '../model.js';
import { finite } from '../series.js';
import { share, show } from '../units.js';
import { html, Markup, table } from './markup.js';
import { missing, perRun, prefix, type Section, type Source } from './section.js';

const BASE64 = /^[A-Za-z0-9+/]+=*$/;

export function kernels(source: Source): Section {
  const [id, title] = ['kernels', 'First-layer kernels'];
  const { runs } = source;
  if (!runs.some((each) => each.kernels.length > 0 || each.kernelPicture !== undefined))
    return {
      id,
      title,
      body: missing(
        'There is no picture of the kernels: the run has no readable weights, or its first layer is no convolution.',
      ),
    };
  return {
    ...{ id, title },
    body: perRun(source, ({ kernels, kernelPicture: picture }, i) => {
      if (kernels.length === 0 && picture === undefined) return missing('This run has no readable weights.');
      const shares = kernels.map(
        (each) =>
          `tower ${each.tower}: ${count(each.kernels)} kernels, ${share(each.colourShare)} of their energy is colour`,
      );
      const rows = kernels.map((each) => [
        ...[`tower ${each.tower}`, count(each.kernels), count(each.colourKernels), share(each.colourShare)],
      ]);
      const alt = `Kernels of the first layer, tower 0 above tower 1; ${shares.join('; ')}`;
      return html`<figure class="figure picture" id="figure-kernels-${i}">
${picture !== undefined && BASE64.test(picture) && html`<img src="data:image/png;base64,${new Markup(picture)}" alt="${alt}">`}
<figcaption>Kernels of the first layer from the newest weights, tower 0 above tower 1; in each, grey is 0 and the largest weight is white, black or a full colour.</figcaption>
${kernels.length > 0 && table(`Colour of the kernels by tower${runs.length > 1 ? `, ${source.names[i]}` : ''}`, ['tower', 'kernels', 'mostly colour', 'share of colour'], rows)}
</figure>`;
    }),
  };
}

type Layers = EventOf<'activations'>['layers'];

export function activations(source: Source): Section {
  const { runs, names, draw } = source;
  const [id, title] = ['activations', 'Activations'];
  const measured = runs.flatMap(({ activations: { first, last } }, i) => {
    // First against last; of several runs, the last of each.
    const entries = (runs.length > 1 ? [last ?? first] : [first, last]).filter((each) => each !== undefined);
    return entries.filter((each, at) => at === 0 || each.step !== entries[0]!.step).map((event) => ({ event, i }));
  });
  if (measured.length === 0) return { id, title, body: missing('The log has no statistics of activations.') };
  const layers = [...new Set(measured.flatMap(({ event }) => event.layers.map(label)))];
  const series = (key: 'sd' | 'zero') =>
    measured.map(({ event, i }, at) => ({
      ...{ name: `${prefix(source, i)}step ${event.step}`, tone: at },
      values: layers.map((layer) => event.layers.find((each) => label(each) === layer)?.[key] ?? null).map(finite),
    }));
  const when = runs.length > 1 ? 'in the last measurement of each run' : 'in the first and in the last measurement';
  const shape = { kind: 'bars', category: 'layer', categories: layers, stacked: false } as const;
  return {
    ...{ id, title },
    body: html`<div class="figures">
${draw({ ...shape, id: 'activations-sd', title: 'Standard deviation by layer', unit: 'number', series: series('sd') }, `Standard deviation of each layer’s output for the same batch of test images, ${when}.`)}
${draw({ ...shape, id: 'activations-zero', title: 'Zeros by layer', unit: 'share', series: series('zero') }, `Share of each layer’s output values that are exactly 0, ${when}.`)}
</div>
${runs.map((run, i) => details(run, runs.length > 1 ? `, ${names[i]}` : ''))}`,
  };
}

function label({ layer, tower }: Layers[number]): string {
  return layer === 'images' ? layer : `${layer}, tower ${tower}`;
}

/** All statistics, the first measurement against the last. */
function details({ activations: { first, last } }: RunReport, suffix: string): Markup | undefined {
  const [before, after] = [first ?? last, last ?? first];
  if (!before || !after) return undefined;
  const pair = (a: number | undefined, b: number | undefined, unit: 'number' | 'share' | 'count') =>
    a === undefined && b === undefined ? undefined : `${show(a, unit)} → ${show(b, unit)}`;
  const rows = after.layers.map((layer) => {
    const was = before.layers.find((each) => label(each) === label(layer));
    return [
      ...[label(layer), pair(was?.mean, layer.mean, 'number'), pair(was?.sd, layer.sd, 'number')],
      ...[pair(was?.max, layer.max, 'number'), pair(was?.signal, layer.signal, 'number')],
      ...[pair(was?.zero, layer.zero, 'share'), pair(was?.dead, layer.dead, 'count'), count(layer.units)],
    ];
  });
  const title = `Activations, step ${before.step} → step ${after.step}${suffix}`;
  return table(
    title,
    ['layer', 'mean', 'standard deviation', 'largest', 'signal between images', 'zeros', 'dead units', 'units'],
    rows,
  );
}

/** How the training went: loss, accuracy, learning rate, and speed over the steps. */
import type { Line } from '../figure.js';
import type { Curve } from '../model.js';
import { finite } from '../series.js';
import { show } from '../units.js';
import { html } from './markup.js';
import { list, missing, only, prefix, type Section, type Source } from './section.js';

/** Of one run, training and tests have a tone each; of several, a run has one. */
function toneOf({ runs }: Source, run: number, kind: 0 | 1 | 2) {
  return runs.length > 1 ? { tone: run, dashed: run > 0 } : { tone: kind, dashed: kind > 0 };
}

/** A curve with its band from the smallest to the largest value. */
function curveLine({ step, mean, low, high }: Curve, name: string, look: Pick<Line, 'tone' | 'dashed'>): Line {
  return { name, ...look, x: step, y: mean, low, high };
}

function evaluations(source: Source, key: 'loss' | 'top1' | 'top5', what: string): Line[] {
  return source.runs.flatMap(({ evals }, i) => {
    if (evals.length === 0) return [];
    const [x, y] = [evals.map((each) => each.step), evals.map((each) => finite(each[key]))];
    const name = `${prefix(source, i)}${what}`;
    return [{ name, x, y, points: true, ...toneOf(source, i, key === 'top5' ? 2 : 1) }];
  });
}

export function training(source: Source): Section {
  const { runs, draw } = source;
  const [id, title] = ['training', 'Loss and accuracy'];
  if (!runs.some((each) => each.loss.step.length > 0 || each.evals.length > 0))
    return { id, title, body: missing('The log has no training step and no evaluation, so there are no curves.') };
  const steps = (key: 'loss' | 'top1' | 'learningRate', what: string) =>
    runs.flatMap((run, i) =>
      run[key].step.length === 0 ? [] : [curveLine(run[key], `${prefix(source, i)}${what}`, toneOf(source, i, 0))],
    );
  const x = 'step';
  const rates = steps('learningRate', 'learning rate').map(({ x, y, tone, dashed }, i) => ({
    ...{ name: only(source, i, 'learning rate'), x, y, tone, dashed, stepped: true },
  }));
  const varies = rates.some(({ y }) => y.some((each) => each !== y[0]));
  return {
    ...{ id, title },
    body: html`<div class="figures">
${draw(
  {
    kind: 'lines',
    id: 'loss',
    title: 'Loss',
    unit: 'number',
    x,
    y: 'loss',
    lines: [...steps('loss', 'training'), ...evaluations(source, 'loss', 'test')],
  },
  'Cross-entropy over the steps: the mean of the training batches with the band of their smallest and largest values, and each evaluation on the test images as a point.',
)}
${draw(
  {
    ...{ kind: 'lines', id: 'accuracy', title: 'Accuracy', unit: 'share', x, y: 'accuracy' },
    lines: [
      ...steps('top1', 'training, with dropout'),
      ...evaluations(source, 'top1', 'test'),
      ...(runs.length === 1 ? evaluations(source, 'top5', 'test, top five') : []),
    ],
  },
  'Share of the images whose label has the highest score: training batches with their band, and each evaluation on the test images as a point.',
)}
${varies && draw({ kind: 'lines', id: 'rate', title: 'Learning rate', unit: 'number', x, y: 'learning rate', lines: rates }, 'Learning rate of the kernels over the steps.')}
</div>
${runs.length === 2 && sameLosses(runs[0]!.loss, runs[1]!.loss) && html`<p>The training losses of both runs are the same, step for step.</p>`}
${!varies && rates.length > 0 && html`<p>The learning rate stays the same: ${list([...new Set(rates.map(({ y }) => show(y[0], 'number')))])}.</p>`}`,
  };
}

function sameLosses(a: Curve, b: Curve): boolean {
  return a.step.length > 0 && JSON.stringify([a.step, a.mean, a.low]) === JSON.stringify([b.step, b.mean, b.low]);
}

export function speed(source: Source): Section {
  const { runs, draw } = source;
  const [id, title] = ['speed', 'Images per second'];
  const lines = runs.flatMap((run, i) =>
    run.imagesPerSecond.step.length === 0
      ? []
      : [curveLine(run.imagesPerSecond, only(source, i, 'images/s'), toneOf(source, i, 0))],
  );
  if (lines.length === 0)
    return {
      id,
      title,
      body: missing('The log has no training step after the first one, which compiles, so there is no speed.'),
    };
  return {
    ...{ id, title },
    body: draw(
      { kind: 'lines', id: 'speed', title: 'Speed', unit: 'images/s', x: 'step', y: 'images/s', lines },
      'Images per second over the steps, without evaluations and checkpoints: the mean, and the band from the slowest to the fastest step.',
    ),
  };
}

/** All figures. `npm run figures` lists them in this order. */
import { evaluation } from '../evaluation.js';
import { exchange } from '../exchange.js';
import { freshClone } from '../fresh-clone.js';
import { host } from '../host.js';
import { layers } from '../layers.js';
import { memory } from '../memory.js';
import { nets } from '../nets.js';
import { plan } from '../plan.js';
import { scaling } from '../scaling.js';
import { steps } from '../steps.js';
import { tutorialLenet, tutorialOverfitting, tutorialSigmoid } from '../tutorial.js';
import type { AnyFigure } from './figure.js';

export const FIGURES: readonly AnyFigure[] = [
  ...[
    freshClone,
    evaluation,
    nets,
    tutorialLenet,
    tutorialSigmoid,
    tutorialOverfitting,
    steps,
    host,
    exchange,
    memory,
    layers,
    plan,
    scaling,
  ],
];

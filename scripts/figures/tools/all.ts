/** All figures, in the order in which `npm run figures` lists them. */
import { checkpoints } from '../checkpoints.js';
import { claimsArchitecture, claimsLenet, claimsOverfitting, claimsRelu } from '../claims.js';
import { dataCheck } from '../data-check.js';
import { dataRates } from '../data-rates.js';
import { evaluation } from '../evaluation.js';
import { exchange } from '../exchange.js';
import { freshClone } from '../fresh-clone.js';
import { host } from '../host.js';
import { layers } from '../layers.js';
import { library } from '../library.js';
import { memory } from '../memory.js';
import { nets } from '../nets.js';
import { photos } from '../photos.js';
import { plan } from '../plan.js';
import { referenceValues } from '../reference-values.js';
import { rehearsal } from '../rehearsal.js';
import { replicaLosses } from '../replica-losses.js';
import { scaling } from '../scaling.js';
import { signals } from '../signals.js';
import { steps } from '../steps.js';
import { storedImages } from '../stored-images.js';
import { tolerances } from '../tolerances.js';
import { tutorialLenet, tutorialSigmoid } from '../tutorial.js';
import type { AnyFigure } from './figure.js';

/** Those of README.md, then by page. */
export const FIGURES: readonly AnyFigure[] = [
  freshClone,
  library,
  evaluation,
  nets,
  photos,
  tutorialLenet,
  tutorialSigmoid,
  dataCheck,
  storedImages,
  dataRates,
  checkpoints,
  tolerances,
  referenceValues,
  signals,
  steps,
  host,
  exchange,
  memory,
  layers,
  replicaLosses,
  plan,
  rehearsal,
  scaling,
  claimsArchitecture,
  claimsRelu,
  claimsOverfitting,
  claimsLenet,
];

/** The parts of tfjs that a tower does not use. */

/** Names of packages, after `@tensorflow/tfjs-`. tfjs loads them all, which takes a fifth of the time that it takes to load. */
export const UNUSED_PARTS: readonly string[] = ['layers', 'converter', 'data', 'backend-cpu', 'backend-webgl'];

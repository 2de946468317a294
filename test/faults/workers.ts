/** Starts worker files of this folder instead of the production ones while there is a fault to inject; see `fault.ts`. */
import { createRequire } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import type { Piscina as PiscinaClass } from 'piscina';
import { currentFault } from './fault.js';

type Options = NonNullable<ConstructorParameters<typeof PiscinaClass>[0]>;

/** Small enough to be full soon. */
const HEAP_MIB = 64;

const REPLACED = [
  [/src\/tower\/worker\.(js|bundle\.cjs)$/, 'tower-worker.js'],
  [/src\/data\/batches\/worker\.js$/, 'data-worker.js'],
] as const;

if (isMainThread) {
  // What `import { Piscina } from 'piscina'` takes its class from, when it is first imported.
  const piscina = createRequire(import.meta.url)('piscina') as { Piscina: typeof PiscinaClass };
  const { Piscina } = piscina;
  class FaultyPiscina extends Piscina {
    constructor(options: Options = {}) {
      const fault = currentFault();
      const [, file] = (fault && REPLACED.find(([pattern]) => pattern.test(options.filename ?? ''))) ?? [];
      const isHeap = fault?.on === 'tower' && fault.kind === 'heap';
      super({
        ...options,
        ...(file && { filename: new URL(file, import.meta.url).href }),
        ...(file && isHeap && { resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB } }),
      });
    }
  }
  Object.defineProperty(piscina, 'Piscina', { value: FaultyPiscina });
}

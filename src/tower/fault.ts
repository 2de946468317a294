/** Faults that tests inject. */
import { ConfigError } from '../errors.js';

/** `swap-channels@SITE`: the towers' halves come together in the wrong order at that site. */
export interface Fault {
  swapAt?: string;
}

/** @param sites names of the net's sites. @throws ConfigError for a fault that there is not. */
export function parseFault(text: string | null, sites: readonly string[]): Fault {
  if (text === null) return {};
  const swapAt = sites.find((site) => text === `swap-channels@${site}`);
  if (swapAt !== undefined) return { swapAt };
  throw new ConfigError(
    `--fault is ${JSON.stringify(text)}, expected swap-channels@ and one of the sites ${sites.join(', ')}`,
  );
}

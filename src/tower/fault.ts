/** Faults that tests inject. */
import { ConfigError } from '../errors.js';

export interface Fault {
  /** `swap-channels@SITE`: the towers' halves come together in the wrong order at that site. */
  swapAt?: string;
  /** `wrong-bytes@device`: what comes by device is not what was sent. */
  wrongBytes?: boolean;
}

/** @param sites names of the net's sites. @throws ConfigError for a fault that there is not. */
export function parseFault(text: string | null, sites: readonly string[]): Fault {
  if (text === null) return {};
  const swapAt = sites.find((site) => text === `swap-channels@${site}`);
  if (swapAt !== undefined) return { swapAt };
  if (text === 'wrong-bytes@device') return { wrongBytes: true };
  throw new ConfigError(
    `--fault is ${JSON.stringify(text)}, expected wrong-bytes@device, or swap-channels@ and one of the sites ${sites.join(', ')}`,
  );
}

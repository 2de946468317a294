/** Where a tower is. */
import type { Command } from './protocol.js';

/** What a tower is at, for people. */
export function placeOf(command: Command): string {
  switch (command.kind) {
    case 'step':
      return `step ${command.step}`;
    case 'evaluate':
      return `the evaluation after step ${command.step}`;
    case 'measure':
      return `the measurement of the layers ${command.step > 0 ? `after step ${command.step}` : 'before the first step'}`;
    default:
      return `the command ${command.kind}`;
  }
}

/** Where a tower is. */
import type { Command } from './protocol.js';

/** What a tower is at, for people. */
export function placeOf(command: Command): string {
  if (command.kind === 'step') return `step ${command.step}`;
  return command.kind === 'evaluate' ? `the evaluation after step ${command.step}` : `the command ${command.kind}`;
}

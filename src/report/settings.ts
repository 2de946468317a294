/** Settings of a run as a report shows them. A log from elsewhere may have anything in their places. */
import { shortText } from '../config/validate.js';
import type { EventOf } from '../log.js';

/** The settings that a report names, as texts. */
export function settingsOf(start: EventOf<'run_start'>) {
  const { batchSize, net } = start.config as { batchSize?: unknown; net?: { table?: unknown } | null };
  const table = net?.table;
  return {
    batchSize: shortText(batchSize),
    net: JSON.stringify(net),
    table: typeof table === 'string' ? table : shortText(table),
  };
}

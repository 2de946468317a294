/** Settings of a run as a report shows them. A log from elsewhere may have anything in their places. */
import { shortText } from '../config/validate.js';
import { packageVersion } from '../config/version.js';
import { batchOf, towerTitle } from '../event-lines.js';
import type { EventOf } from '../log.js';

/** The settings that a report names, as texts. */
export function settingsOf(start: EventOf<'run_start'>) {
  const { net, batchSize } = start.config as { batchSize?: unknown; net?: { table?: unknown } | null };
  const table = net?.table;
  return {
    batchSize: batchOf(start.config) ?? shortText(batchSize),
    net: JSON.stringify(net),
    table: typeof table === 'string' ? table : shortText(table),
  };
}

/** Names a run's towers as the terminal does. */
export function towerNames(start: Pick<EventOf<'run_start'>, 'towers' | 'placement'> | undefined) {
  return (tower: number): string => towerTitle(tower, start?.towers.length ?? 1, start?.placement ?? 'split');
}

/** The version of this package that wrote a log, if it is newer than this one. */
export function newerVersion({ versions: { alexnet_split: written } }: EventOf<'run_start'>): string | undefined {
  return written.localeCompare(packageVersion(), 'en', { numeric: true }) > 0 ? written : undefined;
}

/** The settings of a command that looks at a net and reads no images. */
import { type Resolved, resolveConfig } from '../config/config.js';
import { type ConfigLayer, valueAt } from '../config/layers.js';
import { tableSettings } from '../config/presets.js';
import { TABLES, type TableName } from '../model/tables.js';

/**
 * The settings of a preset if the flags name one, else of the table at full size, as the flags change them.
 * @param devices of the machine.
 * @throws ConfigError for an invalid flag or geometry.
 */
export function resolveNet(flags: ConfigLayer, devices: readonly string[], now: Date): Resolved {
  const asked = valueAt(flags.values, ['net', 'table']) ?? 'original';
  const isTable = !('preset' in flags.values) && Object.hasOwn(TABLES, asked as string);
  const noData = { values: { data: { source: 'embedded' } } };
  const layers = [noData, ...(isTable ? [{ values: tableSettings(asked as TableName) }] : []), flags];
  return resolveConfig(layers, { devices, fashionMnist: true, now });
}

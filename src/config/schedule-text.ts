/** A learning rate schedule in one word, as `--schedule` takes it. */
import { ConfigError, truncate } from '../errors.js';
import { SCHEDULE_KINDS } from './schema.js';

type Values = Record<string, unknown>;

/** The key that the number after a kind's colon sets; a kind without one takes no number. */
const NUMBER_OF: Partial<Record<string, string>> = {
  plateau: 'patience',
  cosine: 'least',
  linear: 'least',
  'one-cycle': 'rise',
};

const EXPECTED = `expected ${SCHEDULE_KINDS.map((kind) => (kind === 'steps' ? 'steps:5,8' : kind)).join(', ')}`;

/**
 * The keys of the setting `optimizer.schedule` that a text gives: `cosine`, `cosine:0.0001`, `steps:25,51,79`. The others have
 * the defaults of the schema. The numbers are checked with all other settings.
 * @throws ConfigError for another kind, and where numbers are missing or too many.
 */
export function parseSchedule(text: string): Values {
  const [kind = '', numbers, ...rest] = text.split(':');
  const wrong = (why: string) => new ConfigError(`--schedule is ${truncate(JSON.stringify(text))}, ${why}`);
  if (!(SCHEDULE_KINDS as readonly string[]).includes(kind)) throw wrong(EXPECTED);
  if (kind === 'steps') {
    const epochs = numbers?.split(',');
    if (!epochs || rest.length > 0 || !epochs.every((each) => /^\d{1,15}$/.test(each)))
      throw wrong('expected the epochs after which the rate falls, such as steps:25,51,79');
    return { kind, epochs: epochs.map(Number) };
  }
  if (numbers === undefined) return { kind };
  const key = NUMBER_OF[kind];
  if (key === undefined) throw wrong(`expected ${kind} alone`);
  if (rest.length > 0 || !/^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(numbers))
    throw wrong(`expected ${kind} or ${kind}:${key.toUpperCase()}, such as ${kind}:${EXAMPLE[key]}`);
  return { kind, [key]: Number(numbers) };
}

const EXAMPLE: Record<string, string> = { patience: '3', least: '0.0001', rise: '0.3' };

/** The numbers that a kind alone stands for: the defaults of the schema. */
const DEFAULTS: Record<string, number> = { patience: 3, least: 0, rise: 0.3 };

/**
 * The text of a schedule, as far as a text can say it.
 * @param brief leaves out the number that the kind alone stands for.
 */
export function scheduleText(schedule: unknown, brief = false): string {
  const { kind, epochs, ...numbers } = schedule as Values;
  if (Array.isArray(epochs)) return `${kind}:${epochs.join(',')}`;
  const key = NUMBER_OF[String(kind)];
  const number = key === undefined ? undefined : numbers[key];
  const isDefault = brief && key !== undefined && number === DEFAULTS[key];
  return number === undefined || isDefault ? String(kind) : `${kind}:${number}`;
}

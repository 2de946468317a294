/** What is wrong with a field of an event, in words: `train_step.loss: expected a number, found "high"`. */
import type { core } from 'zod';
import { truncate } from '../errors.js';

const TYPES: Record<string, string> = {
  string: 'text',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  number: 'a number',
};

/** @param fields the event's, without its name. */
export function fieldProblem(event: string, issue: core.$ZodIssue, fields: Record<string, unknown>): string {
  const path = issue.path.map(String);
  let found: unknown = fields;
  for (const key of path) found = (found as Record<string, unknown> | undefined)?.[key];
  const where = [event, ...path].join('.');
  if (issue.code === 'unrecognized_keys') return `${[where, ...issue.keys.slice(0, 1)].join('.')}: it is not known`;
  const expected = expectedOf(issue, path);
  return found === undefined
    ? `${where}: it is missing, expected ${expected}`
    : `${where}: expected ${expected}, found ${truncate(JSON.stringify(found))}`;
}

function expectedOf(issue: core.$ZodIssue, path: readonly string[]): string {
  if (issue.code === 'invalid_value') return issue.values.map((value) => JSON.stringify(value)).join(' or ');
  if (issue.code === 'invalid_type') return TYPES[issue.expected] ?? issue.expected;
  // The custom types of the schema are those of numbers and of the settings.
  return path.at(-1) === 'config' ? 'an object' : 'a number';
}

/** The names of a net's classes in a file. */
import { ConfigError, systemMessage, truncate } from '../errors.js';
import { readText, tryParseJson } from '../read-json.js';

/** Enough for the names of 65,536 classes. */
const MAX_BYTES = 2 ** 25;

/**
 * Reads the names of classes by label: a JSON list, as `classes.json` of a run has it, or a text with a name on each line.
 * @param classes how many the net has.
 * @throws ConfigError if the file cannot be read, or has another number of names.
 */
export function readClassNames(file: string, classes: number): string[] {
  const refuse = (found: string) =>
    new ConfigError(
      `Cannot use the class names in ${file}: ${found}, expected ${classes} names, one for each class of the net, as a JSON list or on a line each`,
    );
  let text: string;
  try {
    text = readText(file, { limit: MAX_BYTES, pipe: true });
  } catch (error) {
    throw refuse(systemMessage(error as Error));
  }
  const list = /^\s*[[{]/.test(text) ? tryParseJson(text) : linesOf(text);
  if (!Array.isArray(list)) throw refuse('it holds something else');
  const wrong = list.findIndex((name) => typeof name !== 'string' || name === '');
  if (wrong >= 0) throw refuse(`name ${wrong} is ${truncate(JSON.stringify(list[wrong]))}`);
  if (list.length !== classes) throw refuse(`it has ${list.length}`);
  return list;
}

function linesOf(text: string): string[] {
  return text
    .replace(/\n$/, '')
    .split('\n')
    .map((line) => line.trim());
}

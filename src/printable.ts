/**
 * Escapes text for terminals, because names from files may contain escape sequences. Characters are escaped as in JSON, so
 * that a JSON text keeps its value.
 */

/** Control characters except the tab, marks that change the direction of text, and line and paragraph separators. */
const UNSAFE = /(?!\t)[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** Escapes what a terminal would interpret, as `\n` or `\u001b`. The result is one line. */
export function printable(text: string): string {
  return text.replace(UNSAFE, escaped);
}

export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/** `JSON.stringify`, with everything escaped that a terminal would interpret: people print JSON files with `cat`. */
export function jsonText(value: unknown, space?: number): string {
  return printableLines(JSON.stringify(value, null, space));
}

/** Quotes a word for a shell if that is necessary. A leading `~/` stays the home folder. */
export function shellWord(word: string): string {
  return /^(?!=|~(?!\/))[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function escaped(character: string): string {
  const json = JSON.stringify(character).slice(1, -1);
  return json.length > 1 ? json : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/**
 * Text that is printed: names in it come from files, and a terminal obeys what stands in them. A control character is
 * shown as JSON escapes it, so that a text which is JSON stays the same JSON.
 */

/**
 * Control characters but the tab, what turns the order of the letters round (the marks of one letter's width too), and
 * the two characters that end a line beside the newline.
 */
const OBEYED = /(?!\t)[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** The text with `\n`, `\u001b`, `\u009b` and the like in place of what a terminal obeys: one line, and as it looks. */
export function printable(text: string): string {
  return text.replace(OBEYED, escaped);
}

/** The same for a text of several lines. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/**
 * A value as the text of a JSON file, which is printed as it is (`cat`): what a terminal obeys is escaped. Whoever reads
 * it has the same value.
 * @param space as of `JSON.stringify`.
 */
export function jsonText(value: unknown, space?: number): string {
  return printableLines(JSON.stringify(value, null, space));
}

/** A word as a shell takes it: quoted where it would do something with it. A `~/` at the front stays the home folder. */
export function shellWord(word: string): string {
  return /^(?!=|~(?!\/))[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function escaped(character: string): string {
  const json = JSON.stringify(character).slice(1, -1);
  return json.length > 1 ? json : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Blanks the comments of a TypeScript file, as far as a line-by-line search needs it. */

/** After these a slash begins a regular expression, and does not divide. */
const BEFORE_REGEX = /(?:^|[(,=:[!&|?{};+*%~^<>]|\b(?:return|typeof|case|in|of|await|throw))\s*$/;

/** The text with each character of a comment replaced by a space; lines and columns stay. Strings stay too. */
export function stripComments(text: string): string {
  let out = '';
  let at = 0;
  /** For each template literal we are in, the depth of braces at its `${`. */
  const templates: number[] = [];
  let depth = 0;
  const take = (end: number) => {
    out += text.slice(at, end);
    at = end;
  };
  const blank = (end: number) => {
    out += text.slice(at, end).replace(/[^\n]/g, ' ');
    at = end;
  };
  while (at < text.length) {
    const two = text.slice(at, at + 2);
    const one = text[at]!;
    if (two === '//') blank(endOf(text, '\n', at));
    else if (two === '/*') blank(endOf(text, '*/', at + 2) + 2);
    else if (one === "'" || one === '"') take(endOfQuoted(text, at));
    else if (one === '/' && BEFORE_REGEX.test(out.slice(-80))) take(endOfRegex(text, at));
    else if (one === '`' || (one === '}' && templates.at(-1) === depth)) {
      if (one === '}') templates.pop();
      take(endOfTemplate(text, at));
      if (text[at - 1] === '{') templates.push(depth);
    } else {
      if (one === '{') depth++;
      if (one === '}') depth--;
      take(at + 1);
    }
  }
  return out;
}

function endOf(text: string, what: string, from: number): number {
  const found = text.indexOf(what, from);
  return found < 0 ? text.length : found;
}

function endOfQuoted(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && text[at] !== text[from] && text[at] !== '\n') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

function endOfRegex(text: string, from: number): number {
  let inClass = false;
  for (let at = from + 1; at < text.length && text[at] !== '\n'; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '[') inClass = true;
    else if (text[at] === ']') inClass = false;
    else if (text[at] === '/' && !inClass) return at + 1;
  }
  return from + 1; // no regular expression after all
}

/** From a backtick, or the brace that ends `${…}`, to the next backtick or `${`, that included. */
function endOfTemplate(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '`') return at + 1;
    else if (text.startsWith('${', at)) return at + 2;
  }
  return text.length;
}

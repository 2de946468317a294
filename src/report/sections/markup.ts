/** HTML from templates that escape whatever is put into them. */
import { printableLines } from '../../printable.js';

/** HTML that may be put into a page as it is. */
export class Markup {
  constructor(readonly text: string) {}
}

export type Content = string | number | Markup | undefined | false | readonly Content[];

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Escapes text for HTML, within an element or a quoted attribute. Marks that reorder text are shown as `\u202e`. */
function escapeHtml(text: string): string {
  return printableLines(text).replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

/** A template of HTML. Strings in it are escaped, markup is not, undefined and false are left out. */
export function html(strings: TemplateStringsArray, ...values: Content[]): Markup {
  return new Markup(strings.map((each, i) => each + textOf(values[i])).join(''));
}

function textOf(content: Content): string {
  if (content === undefined || content === false) return '';
  if (content instanceof Markup) return content.text;
  if (typeof content === 'object') return content.map(textOf).join('');
  return escapeHtml(String(content));
}

/** A table whose first column has the heads of its rows. */
export function table(
  caption: string,
  columns: readonly string[],
  rows: readonly (readonly (string | Markup | undefined)[])[],
): Markup {
  const head = columns.map((each) => html`<th scope="col">${each}</th>`);
  const body = rows.map(
    ([first, ...rest]) =>
      html`<tr><th scope="row">${first}</th>${rest.map((each) => html`<td>${each ?? '–'}</td>`)}</tr>`,
  );
  return html`<div class="scroll" tabindex="0" role="group" aria-label="${caption}"><table><caption>${caption}</caption>
<thead><tr>${head}</tr></thead><tbody>
${body}</tbody></table></div>`;
}

/** A page whose run goes on: fetches its contents, and keeps what the reader zoomed, opened, focused and scrolled to. */
import type { Figure, LivePage } from '../figure.js';
import { drawAll } from './charts.js';

/** Starts, if the page has an address of live data: see `html.ts`. */
export function followIfLive(): void {
  const meta = document.querySelector<HTMLMetaElement>('meta[name="live"]');
  if (!meta) return;
  const url = new URL(meta.content, location.href);
  if (url.search === '') url.search = location.search;
  void follow(url, Number(meta.dataset.every), document.getElementById('live')!);
}

async function follow(url: URL, everyMs: number, status: HTMLElement): Promise<void> {
  for (let last = ''; ; await pause(everyMs)) {
    try {
      const response = await fetch(url, { cache: 'no-store' });
      if (response.status !== 304) {
        if (!response.ok) throw new Error(`status ${response.status}`);
        const text = await response.text();
        if (text !== last) update(JSON.parse(text) as LivePage);
        last = text;
      }
      if (response.headers.get('Report-Final') === 'yes') return say(status, 'The run has ended.');
      say(status, 'Live');
    } catch {
      say(status, 'No connection to alexnet-split; trying again.');
    }
  }
}

function say(status: HTMLElement, text: string): void {
  if (status.textContent !== text) status.textContent = text;
}

/** Until the next look, which waits while nobody sees the page. */
async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  while (document.hidden)
    await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
}

/** Replaces the contents of `<main>`, except the charts, which are drawn again where they are. */
export function update({ title, main, figures }: LivePage): void {
  const old = document.getElementById('main')!;
  const page = new DOMParser().parseFromString(`<main>${main}</main>`, 'text/html');
  const parsed = document.importNode(page.querySelector('main')!, true);
  const [focused, scrolled] = [focusKey(), scrollY];
  for (const chart of parsed.querySelectorAll<HTMLElement>('.chart')) {
    const known = document.getElementById(chart.id);
    if (!known) continue;
    known.setAttribute('aria-label', chart.getAttribute('aria-label') ?? '');
    chart.replaceWith(known);
  }
  keepOpenedAndChosen(old, parsed);
  old.replaceChildren(...parsed.childNodes);
  document.title = title;
  drawAll(figures as Figure[]);
  scrollTo({ top: scrolled, behavior: 'instant' });
  if (focused) old.querySelector<HTMLElement>(focused)?.focus({ preventScroll: true });
}

function keepOpenedAndChosen(old: HTMLElement, next: HTMLElement): void {
  for (const { id, open } of old.querySelectorAll<HTMLDetailsElement>('details[id]')) {
    const same = next.querySelector<HTMLDetailsElement>(`#${CSS.escape(id)}`);
    if (same) same.open = open;
  }
  for (const { id, value, selectedIndex, options } of old.querySelectorAll('select')) {
    const same = next.querySelector<HTMLSelectElement>(`#${CSS.escape(id)}`);
    const isNewest = selectedIndex === options.length - 1;
    if (same && !isNewest && [...same.options].some((each) => each.value === value)) same.value = value;
  }
}

/** A selector of the element with the focus, if it can be found again. */
function focusKey(): string | undefined {
  const active = document.activeElement;
  if (!active || active === document.body) return undefined;
  if (active.id) return `#${CSS.escape(active.id)}`;
  const holder = active.closest('[id]');
  const action = active.getAttribute('data-zoom');
  if (!holder || holder.id === 'main') return undefined;
  return `#${CSS.escape(holder.id)} ${action === null ? active.localName : `[data-zoom="${action}"]`}`;
}

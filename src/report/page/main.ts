/** The script of a report's page. Its text and its tables are there without it. */
import type { Figure } from '../figure.js';
import { drawAll, redraw, setWheel, showStep, watchPrinting, type ZoomAction, zoomBy } from './charts.js';
import { followIfLive } from './live.js';
import { watchTheme } from './theme.js';

const KEYS: Record<string, ZoomAction> = {
  ...{ '+': 'in', '=': 'in', '-': 'out', ArrowLeft: 'left', ArrowRight: 'right', '0': 'reset' },
};

document.documentElement.classList.add('script');
const announcer = document.createElement('p');
announcer.id = 'range';
announcer.className = 'visually-hidden';
announcer.setAttribute('role', 'status');
document.body.append(announcer);

watchTheme(document.getElementById('theme') as HTMLButtonElement, redraw);
watchPrinting();
drawAll(JSON.parse(document.getElementById('figures')!.textContent!) as Figure[]);

// The contents of <main> are replaced in a live page, so it has the listeners.
const main = document.getElementById('main')!;
main.addEventListener('click', ({ target }) => {
  const button = (target as Element).closest<HTMLButtonElement>('button[data-zoom]');
  if (button) apply(button, button.dataset.zoom as ZoomAction);
});
main.addEventListener('keydown', (event) => {
  const { target, key, ctrlKey, altKey, metaKey } = event;
  const action = KEYS[key];
  if (action === undefined || ctrlKey || altKey || metaKey) return;
  if (!(target as Element).matches('.chart, button[data-zoom]')) return;
  if (apply(target as Element, action)) event.preventDefault();
});
main.addEventListener('change', ({ target }) => {
  const select = (target as Element).closest('select');
  if (select) showStep(select.id.replace(/^step-/, ''), Number(select.value));
});
for (const [name, isFree] of [
  ['focusin', true],
  ['focusout', false],
] as const) {
  main.addEventListener(name, ({ target }) => {
    const chart = (target as Element).closest('.chart');
    if (chart) setWheel(idOf(chart), isFree);
  });
}
followIfLive();

function apply(element: Element, action: ZoomAction): boolean {
  const shown = zoomBy(idOf(element), action);
  if (shown !== undefined) announcer.textContent = shown;
  return shown !== undefined;
}

function idOf(element: Element): string {
  return element.closest('.figure')!.id.replace(/^figure-/, '');
}

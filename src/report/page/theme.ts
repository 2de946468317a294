/** Colours of the charts, light and dark. The hues can be told apart with every common colour blindness. */
import type { Tone } from '../figure.js';

export interface Colours {
  text: string;
  muted: string;
  line: string;
  surface: string;
  parts: Record<Exclude<Tone, number>, string>;
  /** Of runs, towers and groups. */
  series: readonly string[];
}

export const LIGHT: Colours = {
  text: '#1c2430',
  muted: '#55606e',
  line: '#d9dee5',
  surface: '#ffffff',
  parts: {
    ...{ compute: '#1f6fb2', forward: '#3d94d1', backward: '#14538a', pass: '#1f6fb2', update: '#5b4bb0' },
    ...{ exchange: '#d17a00', wait: '#b5477f', data: '#128a6a', other: '#8b939d' },
  },
  series: ['#14629f', '#c65f00', '#128a6a', '#a63a78', '#6554c0', '#7d6a1c', '#2b8fa8', '#5c6672'],
};

export const DARK: Colours = {
  text: '#e6eaf0',
  muted: '#a3adba',
  line: '#39424e',
  surface: '#171c23',
  parts: {
    ...{ compute: '#4f9fe0', forward: '#86c6f4', backward: '#3d84c6', pass: '#4f9fe0', update: '#a497f0' },
    ...{ exchange: '#f2a33a', wait: '#e58dbb', data: '#3fc49c', other: '#98a1ac' },
  },
  series: ['#62b0f0', '#f59b4a', '#3fc49c', '#e58dbb', '#a99cf5', '#d4bf5a', '#63c5dc', '#a8b1bd'],
};

export function colourOf(tone: Tone, colours: Colours): string {
  return typeof tone === 'number' ? colours.series[tone % colours.series.length]! : colours.parts[tone];
}

const STORED = 'alexnet-split-theme';

/** Whether the screen is dark now: as the reader chose, or else as the system is. */
export function isDark(): boolean {
  const chosen = document.documentElement.dataset.theme;
  return chosen === undefined ? matchMedia('(prefers-color-scheme: dark)').matches : chosen === 'dark';
}

/** Lets the reader switch, and calls back after each change, of the system's setting too. */
export function watchTheme(button: HTMLButtonElement, onChange: () => void): void {
  const root = document.documentElement;
  const stored = memory(() => localStorage.getItem(STORED));
  if (stored === 'dark' || stored === 'light') root.dataset.theme = stored;
  const show = () => {
    button.textContent = isDark() ? 'Light' : 'Dark';
    button.setAttribute('aria-label', `Switch to ${isDark() ? 'light' : 'dark'} colours`);
  };
  button.addEventListener('click', () => {
    const theme = isDark() ? 'light' : 'dark';
    root.dataset.theme = theme;
    memory(() => localStorage.setItem(STORED, theme));
    show();
    onChange();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    show();
    onChange();
  });
  show();
}

/** Some browsers let no file remember anything. */
function memory<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}

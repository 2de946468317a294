/** The grey level of a colour, as libvips converts image files: the luminance of linear light (IEC 61966-2-1, BT.709). */

/** Linear light, 0 to 1, of each of the 256 levels. */
const LINEAR = Float64Array.from({ length: 256 }, (_, level) => {
  const value = level / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
});

/** Enough that each level has entries of its own. */
const STEPS = 2 ** 16;

/** The level of each amount of linear light. */
const LEVELS = Uint8Array.from({ length: STEPS + 1 }, (_, step) => {
  const light = step / STEPS;
  return Math.round(255 * (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055));
});

/** The grey level, 0 to 255, of levels of red, green and blue. Differs from libvips's by 1 at most, from rounding. */
export function greyOf(red: number, green: number, blue: number): number {
  const light = 0.2126 * LINEAR[red]! + 0.7152 * LINEAR[green]! + 0.0722 * LINEAR[blue]!;
  return LEVELS[Math.round(STEPS * light)]!;
}

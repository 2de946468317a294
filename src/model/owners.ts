/** Which replica adds up the gradients of which parameter. */
import { volume } from './net.js';

/** Chooses the owner of each parameter, so that the owners have about the same number of bytes. */
export function ownersOf(shapes: readonly (readonly number[])[], replicas: number): number[] {
  const loads = Array<number>(replicas).fill(0);
  const owners = Array<number>(shapes.length).fill(0);
  const sizes = shapes.map((shape, i) => ({ i, values: volume(shape) })).sort((a, b) => b.values - a.values);
  for (const { i, values } of sizes) {
    const owner = loads.indexOf(Math.min(...loads));
    owners[i] = owner;
    loads[owner]! += values;
  }
  return owners;
}

/** Two runs' weights, compared. */
import { lastWeights } from '../../checkpoint/choose.js';
import { openTensors } from '../../checkpoint/safetensors.js';
import { difference } from '../verify.js';

/**
 * The tensor in which two runs of one net are furthest apart, velocities too: its largest difference, as a share of its
 * largest value; 0 where all are equal.
 * @throws CheckpointError for folders without the same tensors.
 */
export function compareWeights(a: string, b: string): { worst: number; where: string } {
  const others = lastWeights(b);
  const tensors = lastWeights(a).flatMap((file, i) => differences(file, others[i]!));
  // NaN is the worst of all.
  return tensors.reduce((worst, each) => (each.worst <= worst.worst ? worst : each), { worst: 0, where: 'none' });
}

function differences(a: string, b: string): { worst: number; where: string }[] {
  const first = openTensors(a);
  try {
    const second = openTensors(b);
    try {
      return first.entries.map(({ name, shape }) => ({
        worst: difference(first.read(name, shape), second.read(name, shape)).relative,
        where: name,
      }));
    } finally {
      second.close();
    }
  } finally {
    first.close();
  }
}

/** What stands in the place of a thread's binding while a graph is recorded. */
import { NativeError } from '../../errors.js';
import type { PinnedBinding, TensorMetadata } from '../binding/binding.js';
import type { OpAttr } from '../c/attributes.js';

/** What a recording does with the calls that tfjs's backend makes. */
export interface Recording {
  isForXla: boolean;
  /** From here on ids are those of recorded values; below, the real binding's. */
  firstId: number;
  /** Is told of a tensor that was made of values. */
  made(id: number): void;
  valueOf(id: number): TensorMetadata;
  record(op: string, attrs: OpAttr[], ids: number[], count: number): TensorMetadata[];
}

/** A binding that computes nothing: ops go to the recording, and values cannot be read. */
export function recordingBinding(
  real: PinnedBinding,
  { isForXla, firstId, made, valueOf: describe, record }: Recording,
): PinnedBinding {
  const refuse = (): never => {
    throw new NativeError(
      "Cannot read a tensor's values in a compiled function: it is traced, not run; read the function's results, or make the value an argument",
      9,
    );
  };
  return {
    ...real,
    device: real.device,
    target: real.target,
    host: real.host,
    isRecording: true,
    isUsingGpuDevice: () => real.isUsingGpuDevice(),
    // XLA has TensorFlow's public ops alone.
    can: (ability: string, attempt: (binding: PinnedBinding) => void) => !isForXla && real.can(ability, attempt),
    getNumOfTensors: () => real.getNumOfTensors(),
    createTensor: (shape: number[], dtype: number, values: unknown) => {
      const id = real.createTensor(shape, dtype, values);
      made(id);
      return id;
    },
    deleteTensor: (id: number) => {
      if (id < firstId) real.deleteTensor(id);
    },
    executeOp: record,
    tensorDataSync: refuse,
    read: refuse,
    copyTo: refuse,
    handle: refuse,
    adopt: refuse,
    backingDevice: refuse,
    loadSavedModel: () => real.loadSavedModel(),
    deleteSavedModel: () => real.deleteSavedModel(),
    runSavedModel: () => real.runSavedModel(),
    getNumOfSavedModels: () => 0,
    noteShape: refuse,
    describe: (id: number) => (id < firstId ? real.describe(id) : describe(id)),
  } as unknown as PinnedBinding;
}

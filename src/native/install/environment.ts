/** The variables that change what TensorFlow and CUDA compute, where, or how fast, and those that would end the process. */
import { truncate } from '../../errors.js';

const NAMES = [
  ...(['TF_ENABLE_ONEDNN_OPTS', 'TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE', 'TF_CPP_MIN_LOG_LEVEL'] as const),
  ...(['TF_NUM_INTRAOP_THREADS', 'TF_NUM_INTEROP_THREADS', 'OMP_NUM_THREADS'] as const),
  ...(['TF_FORCE_GPU_ALLOW_GROWTH', 'TF_GPU_ALLOCATOR', 'TF_GPU_THREAD_MODE', 'TF_GPU_THREAD_COUNT'] as const),
  ...(['TF_DETERMINISTIC_OPS', 'TF_CUDNN_DETERMINISTIC', 'TF_CUDNN_USE_AUTOTUNE', 'TF_CUDNN_USE_FRONTEND'] as const),
  ...(['TF_XLA_FLAGS', 'XLA_FLAGS', 'ALEXNET_SPLIT_XLA_FLAGS', 'TF_ENABLED_DEVICE_TYPES'] as const),
  ...(['NVIDIA_TF32_OVERRIDE', 'TF_SET_ONEDNN_FPMATH_MODE'] as const),
  ...(['ONEDNN_DEFAULT_FPMATH_MODE', 'DNNL_DEFAULT_FPMATH_MODE'] as const),
  ...(['ONEDNN_MAX_CPU_ISA', 'DNNL_MAX_CPU_ISA'] as const),
  ...(['CUDA_VISIBLE_DEVICES', 'CUDA_DEVICE_ORDER', 'CUDA_LAUNCH_BLOCKING', 'CUDA_MODULE_LOADING'] as const),
  ...(['CUDA_FORCE_PTX_JIT', 'CUDA_DISABLE_PTX_JIT', 'CUDA_CACHE_DISABLE', 'CUDA_CACHE_MAXSIZE'] as const),
  'ALEXNET_SPLIT_LOGICAL_MIB',
] as const;

/** Those that are set, and to what. */
export function tensorflowVariables(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  return Object.fromEntries(NAMES.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}

/** What is done about a variable before TensorFlow is loaded, and the sentence that says so. */
export interface Remedy {
  name: string;
  /** What it is set to instead; it is unset without. Absent in a remedy that only says something. */
  value?: string;
  keeps?: true;
  says: string;
}

/** More threads than this cost minutes at each start. */
const MOST_THREADS = 1024;
const FPMATH = ['ONEDNN_DEFAULT_FPMATH_MODE', 'DNNL_DEFAULT_FPMATH_MODE', 'TF_SET_ONEDNN_FPMATH_MODE'] as const;

/**
 * The variables that TensorFlow must not see as they are, for it would end or hang the process, or compute other numbers.
 * They are left over from another program more often than meant.
 */
export function remedies(env: NodeJS.ProcessEnv = process.env): Remedy[] {
  const found: Remedy[] = [];
  const shown = (name: string) => JSON.stringify(truncate(env[name] ?? ''));
  if (env.TF_XLA_FLAGS) {
    const says = `TF_XLA_FLAGS (${shown('TF_XLA_FLAGS')}) is not used: TensorFlow ends the process at a flag that it does not know, and never ends a split whose ops it joins by itself; --compile xla compiles with XLA`;
    found.push({ name: 'TF_XLA_FLAGS', says });
  }
  const { XLA_FLAGS: flags, ALEXNET_SPLIT_XLA_FLAGS: meant } = env;
  if (meant) {
    const says = 'XLA gets ALEXNET_SPLIT_XLA_FLAGS, and ends the process at a flag that it does not know';
    found.push({ name: 'XLA_FLAGS', value: meant, says });
  } else if (flags) {
    const says = `XLA_FLAGS (${shown('XLA_FLAGS')}) is not used, for it may be of another program, such as JAX, and XLA ends the process at a flag that it does not know; ALEXNET_SPLIT_XLA_FLAGS is for flags that are meant`;
    found.push({ name: 'XLA_FLAGS', says });
  }
  const threads = env.TF_NUM_INTRAOP_THREADS;
  if (threads && !(/^\d+$/.test(threads) && Number(threads) <= MOST_THREADS)) {
    const says = `TF_NUM_INTRAOP_THREADS (${shown('TF_NUM_INTRAOP_THREADS')}) is not used: expected a whole number from 0 to ${MOST_THREADS}`;
    found.push({ name: 'TF_NUM_INTRAOP_THREADS', says });
  }
  const types = env.TF_ENABLED_DEVICE_TYPES;
  if (types && !types.split(',').includes('CPU')) {
    const says = `TF_ENABLED_DEVICE_TYPES (${shown('TF_ENABLED_DEVICE_TYPES')}) is not used: TensorFlow does not begin without CPU among them`;
    found.push({ name: 'TF_ENABLED_DEVICE_TYPES', says });
  }
  const rounds = FPMATH.find((name) => env[name] && !/^strict$/i.test(env[name]));
  if (rounds) {
    const says = `${rounds} is ${shown(rounds)}: on some processors factors of products are rounded to fewer bits`;
    found.push({ name: rounds, keeps: true, says });
  }
  return found;
}

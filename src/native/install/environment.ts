/** Environment variables that change what TensorFlow and CUDA compute, where and how fast, or that would end the process. */
import { truncate } from '../../errors.js';

const NAMES = [
  ...['TF_ENABLE_ONEDNN_OPTS', 'TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE', 'TF_CPP_MIN_LOG_LEVEL', 'OMP_NUM_THREADS'],
  ...['TF_NUM_INTRAOP_THREADS', 'TF_NUM_INTEROP_THREADS', 'TF_FORCE_GPU_ALLOW_GROWTH', 'TF_GPU_ALLOCATOR'],
  ...['TF_GPU_THREAD_MODE', 'TF_GPU_THREAD_COUNT', 'TF_DETERMINISTIC_OPS', 'TF_CUDNN_DETERMINISTIC'],
  ...['TF_CUDNN_USE_AUTOTUNE', 'TF_CUDNN_USE_FRONTEND', 'TF_XLA_FLAGS', 'XLA_FLAGS', 'ALEXNET_SPLIT_XLA_FLAGS'],
  ...['TF_ENABLED_DEVICE_TYPES', 'NVIDIA_TF32_OVERRIDE', 'TF_SET_ONEDNN_FPMATH_MODE'],
  ...['ONEDNN_DEFAULT_FPMATH_MODE', 'DNNL_DEFAULT_FPMATH_MODE', 'ONEDNN_MAX_CPU_ISA', 'DNNL_MAX_CPU_ISA'],
  ...['CUDA_VISIBLE_DEVICES', 'CUDA_DEVICE_ORDER', 'CUDA_LAUNCH_BLOCKING', 'CUDA_MODULE_LOADING'],
  ...['CUDA_FORCE_PTX_JIT', 'CUDA_DISABLE_PTX_JIT', 'CUDA_CACHE_DISABLE', 'CUDA_CACHE_MAXSIZE'],
  'ALEXNET_SPLIT_LOGICAL_MIB',
];

export function tensorflowVariables(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  return Object.fromEntries(NAMES.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}

export interface Remedy {
  name: string;
  /** The value that replaces the user's; the variable is unset without it. */
  value?: string;
  /** The variable stays as it is: this is only a warning. */
  keeps?: true;
  /** The sentence for the user. */
  says: string;
}

/** TensorFlow takes minutes to start more threads than this. */
const MAX_THREADS = 1024;
const FPMATH = ['ONEDNN_DEFAULT_FPMATH_MODE', 'DNNL_DEFAULT_FPMATH_MODE', 'TF_SET_ONEDNN_FPMATH_MODE'];

/**
 * The variables whose values would make TensorFlow end or hang the process, or round differently. Most often another
 * program has left them.
 */
export function remedies(env: NodeJS.ProcessEnv = process.env): Remedy[] {
  const found: Remedy[] = [];
  const quoted = (name: string) => JSON.stringify(truncate(env[name] ?? ''));
  const unset = (name: string, reason: string) =>
    found.push({ name, says: `${name} (${quoted(name)}) is not used${reason}` });
  if (env.TF_XLA_FLAGS) {
    unset(
      'TF_XLA_FLAGS',
      ': TensorFlow ends the process at a flag that it does not know, and hangs in a split if XLA clusters its ops; --compile xla compiles with XLA',
    );
  }
  if (env.ALEXNET_SPLIT_XLA_FLAGS) {
    const says = 'XLA gets ALEXNET_SPLIT_XLA_FLAGS, and ends the process at a flag that it does not know';
    found.push({ name: 'XLA_FLAGS', value: env.ALEXNET_SPLIT_XLA_FLAGS, says });
  } else if (env.XLA_FLAGS) {
    unset(
      'XLA_FLAGS',
      ', because it may be for another program, such as JAX, and XLA ends the process at a flag that it does not know; set ALEXNET_SPLIT_XLA_FLAGS for flags that are meant for this program',
    );
  }
  const threads = env.TF_NUM_INTRAOP_THREADS;
  if (threads && !(/^\d+$/.test(threads) && Number(threads) <= MAX_THREADS)) {
    unset('TF_NUM_INTRAOP_THREADS', `: expected a whole number from 0 to ${MAX_THREADS}`);
  }
  const types = env.TF_ENABLED_DEVICE_TYPES;
  if (types && !types.split(',').includes('CPU')) {
    unset('TF_ENABLED_DEVICE_TYPES', ': TensorFlow does not start without CPU among them');
  }
  const rounds = FPMATH.find((name) => env[name] && !/^strict$/i.test(env[name]));
  if (rounds) {
    const says = `${rounds} is ${quoted(rounds)}: on some processors the factors of products are rounded to fewer bits`;
    found.push({ name: rounds, keeps: true, says });
  }
  return found;
}

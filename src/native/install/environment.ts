/** The variables that change what TensorFlow and CUDA compute, where, or how fast. */

const NAMES = [
  ...(['TF_ENABLE_ONEDNN_OPTS', 'TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE', 'TF_CPP_MIN_LOG_LEVEL'] as const),
  ...(['TF_NUM_INTRAOP_THREADS', 'TF_NUM_INTEROP_THREADS', 'OMP_NUM_THREADS'] as const),
  ...(['TF_FORCE_GPU_ALLOW_GROWTH', 'TF_GPU_ALLOCATOR', 'TF_GPU_THREAD_MODE', 'TF_GPU_THREAD_COUNT'] as const),
  ...(['TF_DETERMINISTIC_OPS', 'TF_CUDNN_DETERMINISTIC', 'TF_CUDNN_USE_AUTOTUNE', 'TF_CUDNN_USE_FRONTEND'] as const),
  ...(['TF_XLA_FLAGS', 'XLA_FLAGS', 'NVIDIA_TF32_OVERRIDE'] as const),
  ...(['CUDA_VISIBLE_DEVICES', 'CUDA_DEVICE_ORDER', 'CUDA_LAUNCH_BLOCKING', 'CUDA_MODULE_LOADING'] as const),
  ...(['CUDA_FORCE_PTX_JIT', 'CUDA_DISABLE_PTX_JIT', 'CUDA_CACHE_DISABLE', 'CUDA_CACHE_MAXSIZE'] as const),
  'ALEXNET_SPLIT_LOGICAL_MIB',
] as const;

/** Those that are set, and to what. */
export function tensorflowVariables(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  return Object.fromEntries(NAMES.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}

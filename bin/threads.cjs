/**
 * Sets the number of threads of libuv's pool, in which images are decoded. Node.js 20 starts the pool when it reads the first
 * ES module, so an ES module comes too late; this is CommonJS.
 */
const os = require('node:os');

// Older versions of Node.js, which the command refuses, do not have it.
const cores = os.availableParallelism ? os.availableParallelism() : os.cpus().length;
// As src/pool-threads.ts.
process.env.UV_THREADPOOL_SIZE ??= String(Math.min(64, Math.max(4, cores)));

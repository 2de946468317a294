/** Runs the benchmarks with as many decoder threads as there are cores. */
require('../bin/threads.cjs');

import('../dist/scripts/bench/bench.js');

/** Runs a command from a clone, as run.mjs beside it, with as many decoder threads as there are cores. */
require('../bin/threads.cjs');

import('./run.mjs');

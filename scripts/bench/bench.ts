/** Benchmarks: `npm run bench -- --help`. */
import { program } from './program.js';

await program.parseAsync();

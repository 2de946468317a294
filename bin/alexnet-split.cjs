#!/usr/bin/env node
/** The command of the package. */
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');

require('./threads.cjs');

// cli.js runs because it is the program's entry.
const cli = join(__dirname, '..', 'dist', 'src', 'cli.js');
process.argv[1] = cli;
import(pathToFileURL(cli).href);

/**
 * tfjs-node 4.22.0 calls two functions of Node's `util` that are gone (`isNullOrUndefined`, from Node 23 on) or warn
 * (`isArray`). This file is imported before it and puts them back for it.
 */
import util from 'node:util';

const old = util as unknown as { isNullOrUndefined: (value: unknown) => boolean; isArray: (value: unknown) => boolean };
old.isNullOrUndefined = (value) => value === null || value === undefined;
old.isArray = Array.isArray;

/**
 * Restores two functions of Node's `util` for tfjs-node 4.22.0, which calls them: `isNullOrUndefined` is gone from Node 23
 * on, and `isArray` warns. To be imported before tfjs-node.
 */
import util from 'node:util';

Object.assign(util, {
  isNullOrUndefined: (value: unknown) => value === null || value === undefined,
  isArray: Array.isArray,
});

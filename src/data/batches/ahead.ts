/** Starts the next pieces of work before they are needed. */

/**
 * Calls `start` for the numbers from `begin` to before `end`, in order, and lets up to `ahead` of the results be under way.
 * @returns a function that returns the results in order, one a call. A result that nobody asks for may reject unnoticed.
 */
export function startAhead<T>(
  begin: number,
  end: number,
  ahead: number,
  start: (i: number) => T | Promise<T>,
): () => Promise<T> {
  const started: (T | Promise<T>)[] = [];
  let next = begin;
  const startMore = () => {
    for (; next < end && started.length < ahead; next++) {
      const result = start(next);
      if (result instanceof Promise) result.catch(() => {}); // whoever asks for it gets the error
      started.push(result);
    }
  };
  return async () => {
    startMore();
    const result = await started.shift()!;
    startMore(); // these are under way while the caller uses the result
    return result;
  };
}

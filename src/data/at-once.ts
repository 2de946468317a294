/** Several things at once, for what waits more than it computes. */

/**
 * Calls `work` for 0 to `count` - 1, `atOnce` of them at a time. After a failure no new one begins.
 * @throws the first failure, once none is at work any more.
 */
export async function forEachIndex(
  count: number,
  atOnce: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failure: { error: unknown } | undefined;
  const run = async () => {
    while (next < count && !failure) {
      try {
        await work(next++);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, run));
  if (failure) throw failure.error;
}

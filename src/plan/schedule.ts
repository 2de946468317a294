/** Simulates tasks that wait for one another and share devices and links. */

/** What a task occupies while it runs: a device or a link. It runs as many tasks at once as it has slots. */
export interface Resource {
  readonly name: string;
  readonly slots: number;
}

/** What a task's time counts as. `host`: the program's own work between the device's. */
export type Kind = 'compute' | 'exchange' | 'images' | 'average' | 'host';

export interface Task {
  readonly kind: Kind;
  /** Milliseconds for which it occupies {@link uses}. */
  readonly ms: number;
  /** Milliseconds after that until those that wait for it can start: a link's delay, for example. */
  readonly delayMs: number;
  readonly uses: readonly Resource[];
  /** Tasks that have to be done before. */
  readonly after: readonly Task[];
}

/** When a task could start, started, left its resources, and was done. */
export interface Times {
  ready: number;
  start: number;
  end: number;
  done: number;
}

/**
 * Runs the tasks: each as soon as those before it are done and its resources are free. Those that are ready first get a
 * resource first, and of those that are ready at the same time the first in the list.
 * @param tasks each after those that it waits for.
 */
export function simulate(tasks: readonly Task[]): ReadonlyMap<Task, Times> {
  const followers = new Map<Task, Task[]>();
  const missing = new Map<Task, number>();
  const position = new Map(tasks.map((task, i) => [task, i]));
  for (const task of tasks) {
    missing.set(task, task.after.length);
    for (const before of task.after) {
      const known = followers.get(before);
      if (known) known.push(task);
      else followers.set(before, [task]);
    }
  }
  const free = new Map<Resource, number[]>();
  const times = new Map<Task, Times>();
  const queue = new Queue((task) => position.get(task)!);
  for (const task of tasks) if (task.after.length === 0) queue.add(task, 0);
  for (let next = queue.take(); next; next = queue.take()) {
    const { task, ready } = next;
    const start = Math.max(ready, ...task.uses.map((each) => Math.min(...slotsOf(each, free))));
    const end = start + task.ms;
    for (const each of task.uses) {
      const slots = slotsOf(each, free);
      slots[slots.indexOf(Math.min(...slots))] = end;
    }
    const done = end + task.delayMs;
    times.set(task, { ready, start, end, done });
    for (const follower of followers.get(task) ?? []) {
      const left = missing.get(follower)! - 1;
      missing.set(follower, left);
      if (left === 0) queue.add(follower, Math.max(...follower.after.map((each) => times.get(each)!.done)));
    }
  }
  return times;
}

/** When the last of the tasks is done. */
export function lengthOf(times: ReadonlyMap<Task, Times>): number {
  return [...times.values()].reduce((last, { done }) => Math.max(last, done), 0);
}

function slotsOf(resource: Resource, free: Map<Resource, number[]>): number[] {
  const slots = free.get(resource) ?? Array.from({ length: resource.slots }, () => 0);
  free.set(resource, slots);
  return slots;
}

interface Entry {
  task: Task;
  ready: number;
}

/** A binary heap: takes the task that is ready first. */
class Queue {
  readonly #entries: Entry[] = [];
  readonly #positionOf: (task: Task) => number;

  constructor(positionOf: (task: Task) => number) {
    this.#positionOf = positionOf;
  }

  add(task: Task, ready: number): void {
    const entries = this.#entries;
    entries.push({ task, ready });
    for (let i = entries.length - 1; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (!this.#isBefore(i, parent)) break;
      this.#swap(i, parent);
      i = parent;
    }
  }

  take(): Entry | undefined {
    const entries = this.#entries;
    if (entries.length === 0) return undefined;
    this.#swap(0, entries.length - 1);
    const first = entries.pop();
    for (let i = 0; ; ) {
      const children = [2 * i + 1, 2 * i + 2].filter((child) => child < entries.length);
      const least = children.reduce((best, child) => (this.#isBefore(child, best) ? child : best), i);
      if (least === i) return first;
      this.#swap(i, least);
      i = least;
    }
  }

  #isBefore(i: number, j: number): boolean {
    const [a, b] = [this.#entries[i]!, this.#entries[j]!];
    return a.ready < b.ready || (a.ready === b.ready && this.#positionOf(a.task) < this.#positionOf(b.task));
  }

  #swap(i: number, j: number): void {
    const entries = this.#entries;
    [entries[i], entries[j]] = [entries[j]!, entries[i]!];
  }
}

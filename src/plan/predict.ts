/** Predicts a training step: its time and where it goes, bytes, memory, and what more devices are worth. */
import type { TowerIndex } from '../model/net.js';
import { type Memory, memoryOf } from './memory.js';
import { COORDINATOR, type Place } from './places.js';
import type { TimeSource } from './rates.js';
import { type Kind, lengthOf, simulate, type Task, type Times } from './schedule.js';
import { type StepSettings, type StepTasks, stepTasks, type TowerTasks } from './step.js';
import type { Traffic } from './task-list.js';

/** Where a tower's step goes, in milliseconds that add up to it. `wait`: for the other tower, or for a device that it shares. */
export type Parts = Record<Kind | 'wait', number>;

export interface TowerPlan {
  replica: number;
  tower: TowerIndex;
  device: string;
  parts: Parts;
  memory: Memory;
}

export interface Plan {
  stepMs: number;
  /** Of one replica. */
  batchSize: number;
  /** Of all replicas together. */
  images: number;
  devices: number;
  imagesPerSecond: number;
  /** Those of the first replica. The others are alike. */
  towers: readonly TowerPlan[];
  /** Bytes of a step between machines. */
  traffic: readonly Traffic[];
  /** Values that cross between the towers of one replica, in bytes. */
  crossings: StepTasks['crossings'];
  sources: readonly TimeSource[];
  /** Images per second against one device with the whole net. */
  speedup: number;
  /** The speedup by the number of devices, from 0 to 1. */
  efficiency: number;
  /** Images per second against as many times those of one replica, from 0 to 1. */
  replicaEfficiency: number;
}

export type PlanSettings = StepSettings & { hasMomentum: boolean };

export function predict(settings: PlanSettings): Plan {
  const { batchSize, replicas, net, hasMomentum, splitDense = false } = settings;
  const { stepMs, tasks, times } = timed(settings);
  const images = batchSize * replicas.length;
  const devices = new Set(replicas.flat().map(({ machine, device }) => `${machine} ${device}`)).size;
  const isWhole = replicas[0]!.length === 1;
  const towers = tasks.towers.filter(({ replica, tower }) => replica === 0 && (tower === 0 || !isWhole));
  const first: Place = { ...replicas[0]![0]!, machine: COORDINATOR };
  const alone = timed({ ...settings, replicas: [[first]], link: NO_LINK }).stepMs;
  const one = replicas.length === 1 ? stepMs : timed({ ...settings, replicas: [replicas[0]!] }).stepMs;
  const imagesPerSecond = (1000 * images) / stepMs;
  const speedup = imagesPerSecond / ((1000 * batchSize) / alone);
  return {
    ...{ stepMs, batchSize, images, devices, imagesPerSecond, speedup },
    efficiency: speedup / devices,
    replicaEfficiency: one / stepMs,
    towers: towers.map((each) => ({
      ...{ replica: each.replica, tower: each.tower, device: each.place.name },
      parts: partsOf(each, times),
      memory: memoryOf(
        net,
        batchSize,
        isWhole ? [0, 1] : [each.tower],
        hasMomentum,
        splitDense ? 1 / replicas.length : 1,
      ),
    })),
    ...{ traffic: tasks.traffic, crossings: tasks.crossings, sources: [...tasks.sources] },
  };
}

/** One device has no link. */
const NO_LINK = { bytesPerMs: Number.POSITIVE_INFINITY, delayMs: 0 };

function timed(settings: StepSettings) {
  const tasks = stepTasks(settings);
  const times = simulate(tasks.tasks);
  return { tasks, times, stepMs: lengthOf(times) };
}

/** Divides a tower's step: the time in which it computes, and in each gap what it waits for. */
export function partsOf({ computing, last }: TowerTasks, times: ReadonlyMap<Task, Times>): Parts {
  const parts: Parts = { compute: 0, exchange: 0, images: 0, average: 0, host: 0, wait: 0 };
  const ordered = [...computing].sort((a, b) => times.get(a)!.start - times.get(b)!.start);
  let at = 0;
  /** Divides the time up to `end`, in which nothing is computed, from its end backwards. */
  const divide = (task: Task, end: number) => {
    let [current, until]: [Task | undefined, number] = [task, end];
    while (until > at) {
      const { ready } = times.get(current!)!;
      const from = Math.max(at, ready);
      if (from < until) parts[current!.kind === 'compute' ? 'wait' : current!.kind] += until - from;
      until = Math.min(until, from);
      const before: readonly Task[] = current!.after;
      if (before.length === 0) break;
      current = before.reduce((a, b) => (times.get(b)!.done > times.get(a)!.done ? b : a));
    }
    if (until > at) parts.host += until - at;
  };
  for (const task of ordered) {
    const { start, end } = times.get(task)!;
    if (start > at) divide(task, start);
    if (end > at) {
      parts.compute += end - Math.max(at, start);
      at = end;
    }
  }
  const { done } = times.get(last)!;
  if (done > at) divide(last, done);
  const total = lengthOf(times);
  if (total > done) parts.wait += total - Math.max(at, done);
  return parts;
}

/**
 * A training step as tasks for the simulation: what each tower computes, one after another, and what crosses between the
 * towers, the replicas and the coordinator. It follows `tower/pass.ts`, `exchange/all-gather.ts` and `tower/tower.ts`.
 */
import { type Net, parametersOf, type TowerIndex, volume } from '../model/net.js';
import { ownersOf } from '../model/owners.js';
import { FLOAT_BYTES, imageValues, parameterBytes } from './costs.js';
import { COORDINATOR, type Place } from './places.js';
import type { Rates, TimeSource, Transport } from './rates.js';
import type { Kind, Resource, Task } from './schedule.js';
import { type Link, TaskList, type Traffic } from './task-list.js';
import { type TimedLayer, timedLayers } from './timed-layers.js';

export interface StepSettings {
  net: Net;
  /** Images of one replica in a step. */
  batchSize: number;
  /** For each replica the places of its towers: two, or one that has the whole net. */
  replicas: readonly (readonly Place[])[];
  transport: Transport;
  /** How the replicas average their gradients. */
  average: 'copies' | 'collective';
  /** Bytes of a value that crosses between towers: 4, or 2 for float16. */
  valueBytes: 2 | 4;
  /** Bytes of a value of an image as it crosses to a server: 1 for grey levels, 4 for the net's input. */
  imageValueBytes: 1 | 4;
  link: Link;
  rates: Rates;
  /** Whether all machines share the processors of one, as servers on loopback do. */
  sharedProcessors?: boolean;
  /**
   * Whether the dense layers are split over all replicas, which have the whole net's convolutions: data parallel
   * convolutions, model parallel dense layers (Krizhevsky 2014, arXiv:1404.5997). This program cannot train so.
   */
  splitDense?: boolean;
}

/** A tower in the step. */
export interface TowerTasks {
  replica: number;
  tower: TowerIndex;
  place: Place;
  /** What it computes, in order of creation. */
  computing: Task[];
  /** Its last task. */
  last: Task;
}

export interface StepTasks {
  tasks: readonly Task[];
  towers: readonly TowerTasks[];
  traffic: readonly Traffic[];
  /** Where the layers' times are from. */
  sources: ReadonlySet<TimeSource>;
  /** Bytes that each tower of a replica sends to the other one, values only, by cross-connection. */
  crossings: readonly { site: string; direction: 'forward' | 'backward'; tower: TowerIndex; bytes: number }[];
}

/** The tasks of a step, each after those that it waits for. */
export function stepTasks(settings: StepSettings): StepTasks {
  return new StepBuilder(settings).build();
}

/** A tower while its tasks are made. */
interface Chain {
  replica: number;
  tower: TowerIndex;
  place: Place;
  processor: Resource;
  /** The task that the next one waits for. */
  prev: Task;
  computing: Task[];
  /** By layer: the task that computes the gradients of its parameters. */
  kernels: Map<string, Task>;
  /** What brings the averages of its gradients. */
  averaged: Task[];
}

class StepBuilder {
  readonly #settings: StepSettings;
  readonly #crossings: StepTasks['crossings'][number][] = [];
  readonly #list: TaskList;
  readonly #layers: readonly TimedLayer[];
  readonly #sources: ReadonlySet<TimeSource>;

  constructor(settings: StepSettings) {
    this.#settings = settings;
    this.#list = new TaskList(settings.link, settings.rates.remote.message);
    const { layers, sources } = timedLayers(settings.net, settings.batchSize, settings.rates);
    this.#layers = layers;
    this.#sources = sources;
  }

  build(): StepTasks {
    const chains = this.#settings.replicas.map((places, replica) => this.#start(places, replica));
    for (const layer of this.#layers) {
      if (this.#isSplitDense(layer)) this.#gatherAll(layer, chains);
      for (const pair of chains) this.#forward(layer, pair);
    }
    for (const layer of this.#layers.toReversed()) {
      for (const pair of chains) this.#backward(layer, pair);
      if (this.#isSplitDense(layer)) this.#gatherAll(layer, chains);
    }
    if (chains.length > 1) this.#average(chains);
    const towers = chains.flatMap((pair) => this.#update(pair));
    return {
      ...{ tasks: this.#list.tasks, towers, traffic: this.#list.traffic },
      ...{ sources: this.#sources, crossings: this.#crossings },
    };
  }

  /** The coordinator starts the towers of a replica, and sends images to those on other machines, once to each. */
  #start(places: readonly Place[], replica: number): Chain[] {
    const { batchSize, net, rates, imageValueBytes } = this.#settings;
    const sent = new Map<string, Task>();
    return ([0, 1] as const).map((tower): Chain => {
      const place = places[tower] ?? places[0]!; // the whole net: both halves on one device
      const begun = this.#list.add({ kind: 'host', delayMs: rates.stepMs });
      let prev = begun;
      if (place.machine !== COORDINATOR) {
        const bytes = batchSize * (imageValues(net) * imageValueBytes + 4); // and int32 labels
        const images =
          sent.get(place.machine) ?? this.#list.cross('images', COORDINATOR, place.machine, bytes, [begun]);
        sent.set(place.machine, images);
        prev = this.#list.add({ kind: 'host', delayMs: this.#callMs(), after: [begun] });
        prev = this.#list.add({ kind: 'images', after: [prev, images] });
      }
      const processor = this.#processor(place);
      return { replica, tower, place, processor, prev, computing: [], kernels: new Map(), averaged: [] };
    });
  }

  #forward(layer: TimedLayer, pair: readonly Chain[]): void {
    const { site, towers } = layer;
    if (site) {
      const bytes = this.#crossingBytes(site.bytes);
      const arrived = pair.map((chain) => {
        // A layer with a home reads both halves there, so the home sends nothing.
        if (site.home && towers.includes(chain.tower)) return undefined;
        return this.#send(chain, pair[1 - chain.tower]!, bytes, site.name, 'forward');
      });
      for (const chain of pair) {
        const message = arrived[1 - chain.tower];
        if (message) chain.prev = this.#list.add({ kind: 'exchange', after: [chain.prev, message] });
      }
    }
    for (const chain of pair) {
      if (towers.includes(chain.tower)) chain.prev = this.#compute(chain, layer.forwardMs, [chain.prev]);
    }
  }

  #backward(layer: TimedLayer, pair: readonly Chain[]): void {
    const { site, towers, inputMs, kernelMs, parameterBytes } = layer;
    for (const chain of pair.filter(({ tower }) => towers.includes(tower))) {
      const given = chain.prev;
      if (inputMs > 0) chain.prev = this.#compute(chain, inputMs, [given]);
      if (parameterBytes > 0) chain.kernels.set(layer.name, this.#compute(chain, kernelMs, [given]));
    }
    if (!site) return;
    const bytes = this.#crossingBytes(site.bytes);
    const arrived = pair.map((chain) => {
      if (!towers.includes(chain.tower)) return undefined;
      return this.#send(chain, pair[1 - chain.tower]!, bytes, site.name, 'backward');
    });
    for (const chain of pair) {
      const message = arrived[1 - chain.tower];
      if (message) chain.prev = this.#list.add({ kind: 'exchange', after: [chain.prev, message] });
    }
  }

  /** The same part's gradients of all replicas are averaged, parameter by parameter. */
  #average(chains: readonly (readonly Chain[])[]): void {
    const { net, replicas, average } = this.#settings;
    const parts = replicas[0]!.length === 1 ? [undefined] : ([0, 1] as const);
    for (const part of parts) {
      const parameters = parametersOf(net, part);
      const owners = ownersOf(
        parameters.map(({ shape }) => shape),
        chains.length,
      );
      for (const [i, { layer, tower, shape }] of [...parameters.entries()].toReversed()) {
        if (this.#isSplitDense(this.#layers.find(({ name, kind }) => name === layer && kind !== 'gather')!)) continue;
        const bytes = volume(shape) * FLOAT_BYTES;
        const members = chains.map((pair) => pair[tower]!);
        if (average === 'collective') this.#inRing(members, layer, bytes);
        else this.#byOwner(members, owners[i]!, layer, bytes);
      }
    }
  }

  /** As in `tower/average.ts`: the owner of a parameter receives the others' gradients, adds them up, and sends the sum back. */
  #byOwner(members: readonly Chain[], place: number, layer: string, bytes: number): void {
    const owner = members[place]!;
    const others = members.filter((each) => each !== owner);
    const sent = others.map((each) => this.#transfer('average', each, owner, bytes, [each.kernels.get(layer)!]));
    // It reads each term and writes the sum; an update reads and writes six times as much.
    const addMs = (bytes * (members.length + 1)) / 6 / this.#settings.rates.updateBytesPerMs;
    const sum = this.#compute(owner, addMs, [owner.kernels.get(layer)!, ...sent]);
    owner.averaged.push(sum);
    for (const each of others) each.averaged.push(this.#transfer('average', owner, each, bytes, [sum]));
  }

  /** As a collective does: shares go round to be added up, K - 1 times, and the sums go round as often. */
  #inRing(members: readonly Chain[], layer: string, bytes: number): void {
    const { link, rates } = this.#settings;
    const turns = members.length - 1;
    const share = (bytes * turns) / members.length;
    const computed = members.map(({ kernels }) => kernels.get(layer)!);
    const sums = this.#round('average', members, share, computed);
    const after = this.#round('average', members, share, sums);
    const delayMs = 2 * (turns - 1) * (link.delayMs + rates.remote.message.ms); // of the turns after the first ones
    const done = this.#list.add({ kind: 'average', delayMs, after });
    for (const each of members) each.averaged.push(done);
  }

  /** Each of the towers sends so many bytes to the others. @returns a task for each. */
  #round(kind: Kind, members: readonly Chain[], bytes: number, after: readonly Task[]): Task[] {
    return members.map((from, i) => this.#transfer(kind, from, members[(i + 1) % members.length]!, bytes, after));
  }

  /** A tensor from device to device. */
  #transfer(kind: Kind, from: Chain, to: Chain, bytes: number, after: readonly Task[]): Task {
    const [a, b] = [from.place.machine, to.place.machine];
    if (a !== b) return this.#list.cross(kind, a, b, bytes, after);
    const { ms, bytesPerMs } = this.#settings.rates.local.device;
    return this.#list.add({ kind, delayMs: ms + bytes / bytesPerMs, after });
  }

  #isSplitDense({ kind }: TimedLayer): boolean {
    return kind === 'dense' && this.#settings.splitDense === true && this.#settings.replicas.length > 1;
  }

  /** Each replica needs what the others have computed of the input of a dense layer, and they need its gradient. */
  #gatherAll({ layer }: TimedLayer, chains: readonly (readonly Chain[])[]): void {
    const bytes = this.#crossingBytes(volume(layer.input) * FLOAT_BYTES) * (chains.length - 1);
    const computed = chains.flat().map(({ prev }) => prev);
    const members = chains.map(([first]) => first!);
    const done = this.#list.add({ kind: 'exchange', after: this.#round('exchange', members, bytes, computed) });
    for (const chain of chains.flat()) chain.prev = done;
  }

  /** The towers exchange the norms of their gradients, then each updates its parameters. */
  #update(pair: readonly Chain[]): TowerTasks[] {
    const { link, rates, net } = this.#settings;
    const isRemote = ({ place }: Chain) => place.machine !== COORDINATOR;
    const toCoordinator = (chain: Chain) => (isRemote(chain) ? link.delayMs : 0);
    const isSplit = this.#settings.replicas[0]!.length === 2;
    const norms = pair.map((chain) => {
      const after = [chain.prev, ...chain.kernels.values(), ...chain.averaged];
      return this.#list.add({ kind: 'exchange', delayMs: toCoordinator(chain), after });
    });
    const both = this.#list.add({ kind: 'exchange', delayMs: isSplit ? rates.local.msgpack.ms : 0, after: norms });
    return pair.map((chain) => {
      const begun = this.#list.add({ kind: 'host', delayMs: isRemote(chain) ? this.#callMs() : 0, after: [both] });
      const updated = this.#compute(chain, parameterBytes(net, chain.tower) / rates.updateBytesPerMs, [begun]);
      const last = this.#list.add({ kind: 'host', delayMs: toCoordinator(chain), after: [updated] });
      const { replica, tower, place, computing } = chain;
      return { replica, tower, place, computing, last };
    });
  }

  /** A half from one tower to the other. */
  #send(from: Chain, to: Chain, bytes: number, site: string, direction: 'forward' | 'backward'): Task {
    const { rates, transport, replicas } = this.#settings;
    const after = [from.prev];
    if (replicas[0]!.length === 1) return this.#list.add({ kind: 'exchange', after }); // one device: nothing crosses
    if (from.replica === 0) this.#crossings.push({ site, direction, tower: from.tower, bytes });
    const [a, b] = [from.place.machine, to.place.machine];
    if (transport === 'device') return this.#transfer('exchange', from, to, bytes, after);
    // By way of the coordinator.
    const local = rates.local.msgpack;
    const here = local.ms + bytes / local.bytesPerMs;
    if (a === b && a === COORDINATOR) return this.#list.add({ kind: 'exchange', delayMs: here, after });
    const { relayedRoundTrips: trips } = rates.remote.message;
    const up = a === COORDINATOR ? undefined : this.#list.cross('exchange', a, COORDINATOR, bytes, after, trips);
    const copied = this.#list.add({ kind: 'exchange', delayMs: here, after: up ? [up] : after });
    return b === COORDINATOR ? copied : this.#list.cross('exchange', COORDINATOR, b, bytes, [copied], trips);
  }

  /** Until a function begins on a server; what it answers takes the rest, half a round trip. */
  #callMs(): number {
    const { link, rates } = this.#settings;
    const { callMs, callRoundTrips } = rates.remote;
    return callMs + Math.max(0, 2 * callRoundTrips - 1) * link.delayMs;
  }

  #compute(chain: Chain, ms: number, after: readonly Task[]): Task {
    const task = this.#list.add({ kind: 'compute', ms, uses: [chain.processor], after });
    chain.computing.push(task);
    return task;
  }

  #crossingBytes(float32Bytes: number): number {
    const { batchSize, valueBytes } = this.#settings;
    return (float32Bytes / 4) * valueBytes * batchSize;
  }

  #processor({ machine, type, device }: Place): Resource {
    const { rates, sharedProcessors } = this.#settings;
    const where = sharedProcessors ? COORDINATOR : machine;
    return type === 'CPU'
      ? this.#list.resource(`${where} CPU`, rates.slots)
      : this.#list.resource(`${machine} ${device}`, 1);
  }
}

/** The address on which `serve` listens. */
import { lookup } from 'node:dns/promises';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { type Address, addressText } from '../address.js';
import { ConfigError, SplitError, systemMessage } from '../errors.js';

export const DEFAULT_ADDRESS = '127.0.0.1:2222';

/**
 * The IP addresses that the host has on this machine.
 * @throws ConfigError if there is no such host, it is another machine, or another program uses the port; SplitError if the
 * system does not allow the port.
 */
export async function ownAddresses(asked: Address): Promise<string[]> {
  const doing = `Cannot serve on ${addressText(asked)}`;
  let addresses: string[];
  try {
    addresses = (await lookup(asked.host, { all: true })).map(({ address }) => address);
  } catch {
    throw new ConfigError(
      `${doing}: there is no host ${asked.host}; use an address of this machine: ${machineAddresses().join(', ')}`,
    );
  }
  // TensorFlow would listen on all addresses, and say nothing about one that is not this machine's.
  for (const address of addresses) await tryToListen(address, asked.port, doing);
  return addresses;
}

async function tryToListen(address: string, port: number, doing: string): Promise<void> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen({ host: address, port }, resolve);
    });
    await new Promise((resolve) => server.close(resolve));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRNOTAVAIL') {
      throw new ConfigError(
        `${doing}: ${address} is not an address of this machine, expected one of ${machineAddresses().join(', ')}; choose one, or 0.0.0.0 for all of them`,
      );
    }
    if (code === 'EADDRINUSE') {
      throw new ConfigError(`${doing}: another program uses the port; choose another, or 0 for any free one`);
    }
    const advice = code === 'EACCES' ? 'choose a port from 1024 up' : 'choose another --address';
    throw new SplitError(`${doing}: ${systemMessage(error as Error)}; ${advice}`);
  }
}

/** The addresses of this machine, those that other machines reach first. */
export function machineAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const usable = all.filter(({ address }) => !address.startsWith('fe80:'));
  return usable.sort((a, b) => Number(a.internal) - Number(b.internal)).map(({ address }) => address);
}

/** Errors of a tower that waited for another one. */
import { ExchangeError, NativeError } from '../errors.js';
import { isAborted } from '../exchange/mailbox.js';
import { Code, isCancelled } from '../native/c/status.js';
import { mailboxesOf, type TowerSetup } from './protocol.js';
import { towerName, towerNumber } from './replica.js';

/**
 * Runs `action`, which may wait for other towers.
 * @throws what it throws; ExchangeError with `peerFailed` if it was cancelled because another tower failed, and without if
 * another replica did not join a collective in time.
 */
export function blamingOthers<T>(setup: TowerSetup, step: number, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const mailboxes = mailboxesOf(setup);
    const failed = (site: string, text: string, peerFailed: boolean) =>
      new ExchangeError(text, towerNumber(setup), site, step, peerFailed);
    const name = towerName(setup);
    if (isCancelled(error) && mailboxes && isAborted(mailboxes)) {
      const text = `Cannot continue at step ${step} in ${name}: another tower stopped; its own message says why`;
      throw failed('queue', text, true);
    }
    if (isLate(error)) {
      const seconds = setup.exchangeTimeoutMs / 1000;
      const text = `Cannot average the gradients of step ${step} in ${name}: another replica did not join within ${seconds} s; continue from the last checkpoint with --resume, and with a larger exchangeTimeoutMs in the config if it was only slow`;
      throw failed('gradients', text, false);
    }
    throw error;
  }
}

function isLate(error: unknown): boolean {
  return error instanceof NativeError && error.code === Code.DEADLINE_EXCEEDED && error.message.includes('ollective');
}

/** The commands about this machine and its devices. */
import { Option } from 'commander';
import { parseAddress } from '../address.js';
import { type Add, addFlags, clusterOption, JSON_FLAG, listOf, PLACE_FLAGS, pathOf, wholeNumberOf } from './options.js';
import { DEFAULT_ADDRESS } from './serve-address.js';

export function addMachineCommands(add: Add): void {
  const devices = add('devices', "list TensorFlow's devices", () => import('./devices.js'));
  addFlags(devices, ['--servers', '--coordinator'])
    .addOption(clusterOption())
    .option(...JSON_FLAG);
  add('doctor', 'describe this machine for a bug report, and find problems', () => import('./doctor.js')).option(
    ...JSON_FLAG,
  );
  const accept = add(
    'accept',
    'check two devices in ten minutes, before you train on them',
    () => import('./accept.js'),
  );
  addFlags(accept, PLACE_FLAGS)
    .addOption(clusterOption())
    .option('--quick', 'use a small net and few steps, which takes less time')
    .addOption(
      new Option('--out <file>', 'JSON file for the report')
        .argParser(pathOf('--out'))
        .default(undefined, 'accept-<date>.json'),
    );
  add('serve', 'let trainings on other machines use the devices of this one', () => import('./serve.js'))
    .addOption(
      new Option('--address <host:port>', 'address of this machine on which others connect; port 0: any free one')
        .argParser((text) => parseAddress(text, '--address'))
        .default(parseAddress(DEFAULT_ADDRESS, '--address'), DEFAULT_ADDRESS),
    )
    .addOption(
      new Option('--allow <addresses>', 'addresses or networks that may connect, such as 10.0.0.0/8')
        .argParser(listOf)
        .default(undefined, 'all'),
    )
    .addOption(
      new Option('--threads <threads>', 'threads that one op may use')
        .argParser(wholeNumberOf('--threads', 1, 1024))
        .default(undefined, 'TF_NUM_INTRAOP_THREADS, or one a core'),
    )
    .option('--json', 'print the events as lines of JSON, and nothing else on stdout');
  add('setup', 'find the TensorFlow library, or fetch it', async () => ({
    async run(_, { stdout, ensureLibrary }) {
      stdout.print(`TensorFlow library: ${await ensureLibrary()}`);
      return 0;
    },
  }));
}

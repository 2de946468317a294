/** Reads event files as TensorBoard does, with its own reader. */
import { type Found, python } from './tools.js';

/** What TensorBoard would show, by tag and step. A number that is not finite is a text. */
export interface Read {
  scalars: Record<string, Record<string, number | string>>;
  /** Seconds since 1970. */
  times: Record<string, Record<string, number>>;
  texts: Record<string, Record<string, string>>;
  /** Of the HParams page. */
  settings: Record<string, string | number | boolean>;
}

const PROGRAM = `
import json, math, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from tensorboard.util import tensor_util
found = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0, 'tensors': 0}).Reload()
number = lambda x: x if math.isfinite(x) else str(x)
scalars, times, texts, settings = {}, {}, {}, {}
for tag in found.Tags()['scalars']:
    events = found.Scalars(tag)
    scalars[tag] = {e.step: number(e.value) for e in events}
    times[tag] = {e.step: e.wall_time for e in events}
    assert len(events) == len(scalars[tag]), 'a step twice: ' + tag
for tag in found.Tags()['tensors']:
    plugin = found.SummaryMetadata(tag).plugin_data
    if plugin.plugin_name == 'hparams':
        for key, value in metadata.parse_session_start_info_plugin_data(plugin.content).hparams.items():
            settings[key] = getattr(value, value.WhichOneof('kind'))
        continue
    assert plugin.plugin_name == 'text', tag
    texts[tag] = {e.step: tensor_util.make_ndarray(e.tensor_proto).item().decode() for e in found.Tensors(tag)}
json.dump({'scalars': scalars, 'times': times, 'texts': texts, 'settings': settings}, sys.stdout)
`;

/** @returns a function that reads all event files of a folder. */
export async function openReader(): Promise<Found<(folder: string) => Promise<Read>>> {
  const found = await python('tensorboard');
  if ('skip' in found) return found;
  return { tool: async (folder) => JSON.parse(await found.tool(PROGRAM, folder)) as Read };
}

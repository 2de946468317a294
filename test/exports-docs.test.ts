/** docs/exports.md: its settings for other programs are valid, and its tables have the names that runs use. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { runMetrics } from '../src/report/prometheus.js';
import { ALL_EVENTS } from './events.js';
import { ROOT } from './native/child.js';
import { loadTool } from './tools.js';

const text = fs.readFileSync(join(ROOT, 'docs', 'exports.md'), 'utf8');

const yaml = await loadTool<{ parse(text: string): Record<string, never> }>('yaml');

interface Scrape {
  scrape_configs: { static_configs: { targets: string[] }[] }[];
}

interface Collector {
  receivers: Record<string, { config: Scrape }>;
  exporters: Record<string, unknown>;
  service: { pipelines: Record<string, { receivers: string[]; exporters: string[] }> };
}

test('the YAML of Prometheus and of the Collector names the port of the command', {
  skip: 'skip' in yaml && yaml.skip,
}, () => {
  assert.ok('tool' in yaml);
  const blocks = [...text.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, block]) => yaml.tool.parse(block!));
  const [prometheus, collector] = blocks as unknown as [Scrape, Collector];
  const port = /--metrics-port (\d{2,})/.exec(text)![1]!;
  const targetsOf = ({ scrape_configs }: Scrape) =>
    scrape_configs.flatMap(({ static_configs }) => static_configs.flatMap(({ targets }) => targets));
  assert.deepEqual(targetsOf(prometheus), [`127.0.0.1:${port}`]);
  assert.deepEqual(targetsOf(collector.receivers.prometheus!.config), [`127.0.0.1:${port}`]);
  for (const { receivers, exporters } of Object.values(collector.service.pipelines)) {
    assert.deepEqual([receivers, exporters], [Object.keys(collector.receivers), Object.keys(collector.exporters)]);
  }
});

test('the table of metrics has each metric and its labels', async () => {
  const { see, text: metrics } = runMetrics();
  ALL_EVENTS.forEach(see);
  const { body } = await metrics();
  const names = [...body.matchAll(/^# TYPE alexnet_split_(\w+) /gm)].map(([, name]) => name!);
  const table = /^\| metric \|[\s\S]*?\n\n/m.exec(text)![0];
  const rows = table.trim().split('\n').slice(2);
  const documented = rows.flatMap((row) => [...row.split('|')[1]!.matchAll(/`(\w+)`/g)].map(([, name]) => name!));
  assert.deepEqual(documented.sort(), names.sort());
  for (const [, name, labels] of body.matchAll(/^alexnet_split_(\w+?)(?:_bucket)?\{(.*)\} /gm)) {
    const row = rows.find((each) => each.includes(`\`${name}\``))!;
    for (const [, label] of labels!.matchAll(/(\w+)="/g)) assert.ok(row.includes(`\`${label}\``), `${name}: ${label}`);
  }
});

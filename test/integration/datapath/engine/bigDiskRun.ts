// Run by bigDisk.test.ts in a process of its own, whose peak memory it prints: <source> <name> <overlay> <scratch folder>
import { dirname } from 'node:path';
import {
  contentId,
  contentIdOfImage,
  copyDifferences,
  copyFull,
  openSource,
} from '../../../../src/datapath/index.js';

const [path = '', name = '', overlay = '', scratchDir = ''] = process.argv.slice(2);
const { signal } = new AbortController();
const policy = { roots: [dirname(path)], nbdAllow: [], scratchDir };
const source = await openSource({ type: 'file', path, format: 'qcow2' }, policy);
const virtualSizeBytes = source.sizeBytes;
const job = { source, virtualSizeBytes, backupId: 'bkp_big', scratchDir, signal };
try {
  const parentLayers = [`${name}.digests`];
  await copyFull({ ...job, target: `${name}.qcow2`, digestPath: `${name}.digests` });
  const changed = await copyDifferences({ ...job, overlay, digestPath: `${name}-inc.digests`, parentLayers });
  if (changed.dataBlocks + changed.zeroBlocks !== 0)
    throw new Error('Nothing changed, and yet something differs.');
  const layers = [`${name}-inc.digests`, ...parentLayers];
  const expected = await contentId({ layers, virtualSizeBytes });
  const image = { type: 'file', path: overlay, format: 'qcow2' } as const;
  const actual = await contentIdOfImage(image, virtualSizeBytes, { signal, scratchDir });
  if (actual !== expected) throw new Error(`The content id is ${actual} instead of ${expected}.`);
} finally {
  await source.close();
}
process.stdout.write(String(process.resourceUsage().maxRSS * 1024));

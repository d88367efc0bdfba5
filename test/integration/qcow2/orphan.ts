// A program of its own, which a test kills: starts the verb that it is told, and says when it is under way.
import { open } from 'node:fs/promises';
import { convertImage, findSandbox, serveImage } from '../../../src/qcow2/index.js';

const onProgress = (percent: number): void => {
  if (percent > 0) process.stdout.write('started\n');
};

const [verb, source = '', target = ''] = process.argv.slice(2);
if (verb === 'convert') {
  const to = { type: 'file', path: target, format: 'qcow2' } as const;
  await convertImage({ type: 'file', path: source, format: 'raw' }, to, {
    bytesPerSecond: 2 ** 20,
    onProgress,
  });
} else if (verb === 'sandbox') {
  const { sandbox } = await findSandbox('/tmp');
  const { fd } = await open(source);
  const files = [{ name: 'disk', path: source, fd, readableBy: 'capability' }] as const;
  const ref = {
    type: 'file',
    path: source,
    format: 'qcow2',
    foreign: { files, ...(sandbox ? { sandbox } : {}) },
  } as const;
  await serveImage({ ref, readOnly: true, socketPath: target });
  process.stdout.write('started\n');
} else {
  await serveImage({ path: source, format: 'raw', readOnly: true, socketPath: target });
  process.stdout.write('started\n');
}

// A program of its own, which a test kills: starts the verb that it is told, and says when it is under way.
import { convertImage, serveImage } from '../../../src/qcow2/index.js';

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
} else {
  await serveImage({ path: source, format: 'raw', readOnly: true, socketPath: target });
  process.stdout.write('started\n');
}

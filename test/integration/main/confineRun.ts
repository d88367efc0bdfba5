// A program of its own, so that a test can start it with fewer rights: says what a worker of this mode would do.
import { confineTools } from '../../../src/main/confineTools.js';
import { createLogger } from '../../../src/observability/logger.js';
import { createMetrics } from '../../../src/observability/metrics.js';
import { asStrataError } from '../../../src/shared/errors.js';

const [mode = '', directory = ''] = process.argv.slice(2);
if (mode !== 'auto' && mode !== 'required' && mode !== 'off') throw new RangeError(mode);
const metrics = createMetrics('test');
const log = createLogger({ level: 'silent', role: 'test' });
const outcome = await confineTools({ mode, directory, log, metrics }).then(
  (sandbox) => ({ kind: sandbox?.kind ?? 'none' }),
  (error: unknown) => ({ code: asStrataError(error).code, message: asStrataError(error).message }),
);
const { values } = await metrics.toolsConfined.get();
process.stdout.write(JSON.stringify({ ...outcome, confined: values[0]?.value }));

import { expect } from 'chai';
import type { Job, StrataClient } from '../../../src/client/index.js';
import { renderJob } from '../../../src/cli/commands/job.js';
import { followJob } from '../../../src/cli/followJob.js';
import type { CliIo } from '../../../src/cli/io.js';
import { createProgressView } from '../../../src/cli/progress.js';
import { systemClock } from '../../../src/shared/clock.js';

const job = {
  id: 'bkp_1',
  kind: 'backup',
  type: 'full',
  status: 'running',
  progress: { phase: 'copying', bytes_done: 512, bytes_total: 1024, rate: 512, eta_seconds: 1 },
  error: null,
  vm_name: 'web',
  disk_id: 0,
  chain_id: 'chn_1',
  attempts: 0,
  result: null,
  created_at: '2025-11-22T23:40:11.123Z',
  started_at: '2025-11-22T23:40:11.123Z',
  completed_at: null,
} as unknown as Job;
const full = { code: 'no_space', detail: 'Repository main has 9 bytes left.' };
const waiting = { ...job, status: 'released', error: full } as Job;

describe('a job that the CLI follows', () => {
  const follow = async (seen: readonly Job[], terminal = false) => {
    let text = '';
    const err = (more: string) => {
      text += more;
    };
    const io = { err, terminal, columns: () => 60, clock: systemClock } as unknown as CliIo;
    const client = {
      waitForJob: (_id: string, options: { onProgress: (job: Job) => void }) => {
        for (const each of seen) options.onProgress(each);
        return Promise.resolve({ ...job, status: 'completed', completed_at: '2025-11-22T23:40:12.123Z' });
      },
    } as unknown as StrataClient;
    await followJob({ io, progress: createProgressView(io) }, client, job.id, 'web');
    return text;
  };

  it('says why it waits, once for each reason', async () => {
    const queued = { ...job, status: 'queued' } as Job;
    const released = { ...job, status: 'released' } as Job;
    expect(await follow([queued, queued, released, job, waiting, waiting])).to.equal(
      [
        'web  waiting: for the jobs before it on its chain',
        'web  copying  50.0 %  512 B of 1.0 KiB  512 B/s  eta 1.0 s',
        'web  waiting: Repository main has 9 bytes left. [no_space]',
        'web  completed in 1.0 s\n',
      ].join('\n'),
    );
  });

  it('says so on a terminal in place of its bar, within its width', async () => {
    const long = { ...waiting, error: { ...full, detail: 'x'.repeat(200) } } as Job;
    expect(await follow([job, long], true)).to.include(`web  waiting: ${'x'.repeat(45)}\n`);
  });

  it('shows how far it is only while it runs', () => {
    expect(renderJob(job)).to.match(/progress +copying +50.0 %/);
    expect(renderJob(waiting)).to.match(/progress +-/);
  });
});

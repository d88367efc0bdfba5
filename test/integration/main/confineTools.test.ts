import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';

const RUN = fileURLToPath(new URL('confineRun.js', import.meta.url));

/** What confineRun.ts prints. */
interface Outcome {
  kind?: 'root' | 'user' | 'none';
  code?: string;
  message?: string;
  confined: number;
}

/** What a worker of a mode says about its sandbox, with or without the right to make namespaces. */
async function worker(mode: string, rights: 'all' | 'no namespaces'): Promise<Outcome> {
  const directory = await mkdtemp(join(tmpdir(), 'strata-confine-'));
  // As in a container: the capability that namespaces take is out of reach.
  const before = rights === 'all' ? [] : ['--bounding-set', '-sys_admin'];
  try {
    const args = [...before, process.execPath, RUN, mode, directory];
    const { stdout } = await promisify(execFile)('setpriv', args);
    expect(await readdir(directory), 'the trial leaves nothing').to.deep.equal([]);
    return JSON.parse(stdout) as Outcome;
  } finally {
    await rm(directory, { recursive: true });
  }
}

describe('A backup worker on a host that forbids namespaces', () => {
  before(function () {
    if (process.getuid?.() !== 0) this.skip();
  });

  it('works without a sandbox, and its metric says so', async () => {
    expect(await worker('auto', 'no namespaces')).to.deep.equal({ kind: 'none', confined: 0 });
  });

  it('does not start where a sandbox is required, and says why and what to do', async () => {
    const { code, message, confined } = await worker('required', 'no namespaces');
    expect({ code, confined }).to.deep.equal({ code: 'service_failed', confined: 0 });
    expect(message).to.match(/STRATA_SANDBOX.*bwrap.*Install bubblewrap/);
  });
});

describe('A backup worker whose operator wants no sandbox', () => {
  it('has none', async () => {
    expect(await worker('off', 'all')).to.deep.equal({ kind: 'none', confined: 0 });
  });
});

describe('A backup worker on a host that allows namespaces', () => {
  it('has a sandbox, with nobody in it where the worker is root, and its metric says so', async function () {
    const { kind, confined } = await worker('auto', 'all');
    // In a container even root may make none.
    if (kind === 'none') this.skip();
    expect(kind).to.equal(process.getuid?.() === 0 ? 'root' : 'user');
    expect(confined).to.equal(1);
  });
});

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { createClient, type StrataClient } from '../../../../src/client/index.js';
import type { Extent } from '../../../../src/contract/index.js';
import { createApiAddress, startApiProcess } from '../../../helpers/apiProcess.js';
import { makeDisk } from '../../../helpers/disks.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';
import type { FleetProcess } from '../../../helpers/fleetProcess.js';
import { startWorkerProcess } from '../../../helpers/workerProcess.js';

const BLOCK = 65_536;
const MIB = 1024 * 1024;
/** Five million by STRATA_EXTENTS=5000000. */
const COUNT = Number(process.env.STRATA_EXTENTS ?? 100_000);
/** A list that the processes have taken before: what V8 lets lie about has come to its height by then. */
const BEFORE = Math.max(1000, COUNT / 5);
/** What a process may take more for the long list than for that. */
const MORE_BYTES = 64 * MIB;
/** Shares no factor with a number of extents that is used here: steps by it come to each of them once. */
const STEP = 7_919_993;

/** Every second block, in no order. */
function* scattered(count: number): Generator<Extent> {
  for (let n = 0; n < count; n++) yield { offset: ((n * STEP) % count) * 2 * BLOCK + 4096, length: 512 };
}

/** Most memory that a process ever had (VmHWM of proc(5)), in bytes. */
async function peakMemory(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

describe('A change list of any length', () => {
  let fleet: TestFleet;
  let api: FleetProcess;
  let worker: FleetProcess;
  let client: StrataClient;
  before(async () => {
    fleet = await openFleet();
    const address = await createApiAddress(fleet);
    api = await startApiProcess(fleet, address);
    worker = startWorkerProcess(fleet, 'backup');
    client = createClient({ baseUrl: address.url, token: address.token });
  });
  after(async () => {
    await worker.stop();
    await api.stop();
    await fleet.close();
  });

  const backUp = async (type: 'full' | 'incremental', facts: object, list?: () => Iterable<Extent>) => {
    const path = join(fleet.sources, 'large.raw');
    const source = { type: 'file' as const, path, format: 'raw' as const };
    const { disk_results } = await client.backups.create({
      vm_name: 'large',
      repository_id: 'main',
      backup_type: type,
      disks: [{ disk_id: 0, source, ...facts }],
    });
    const id = disk_results[0]?.backup_id ?? '';
    const sent = list && (await client.backups.putExtents(id, list));
    expect(await fleet.ended(id, 600_000)).to.include({ status: 'completed' });
    return { backup: await client.backups.get(id), sent };
  };

  it(`is taken and carried out in the memory of one of a fifth of its length (${COUNT} extents)`, async function () {
    this.timeout(900_000);
    // Data in the first MiB, and nothing else on the whole disk: every block is looked at, hardly one is copied.
    await makeDisk(join(fleet.sources, 'large.raw'), COUNT * 2 * BLOCK, [[0, MIB]]);
    await backUp('full', { change_id: '0' });
    await backUp('incremental', { change_id: '1', since_change_id: '0', extents_follow: true }, () =>
      scattered(BEFORE),
    );
    const pids = [api.child.pid, worker.child.pid];
    const before = await Promise.all(pids.map(peakMemory));
    const { backup, sent } = await backUp(
      'incremental',
      { change_id: '2', since_change_id: '1', extents_follow: true },
      () => scattered(COUNT),
    );
    const after = await Promise.all(pids.map(peakMemory));
    const grown = after.map((bytes, index) => bytes - (before[index] ?? 0));
    if (process.env.STRATA_EXTENTS) {
      const tell = (bytes: number) => `${Math.round(bytes / MIB)} MiB`;
      console.log(
        `api ${tell(after[0] ?? 0)} (+${tell(grown[0] ?? 0)}), worker ${tell(after[1] ?? 0)} (+${tell(grown[1] ?? 0)})`,
      );
    }
    expect(sent).to.include({ ranges: COUNT, changed_bytes: COUNT * BLOCK });
    expect(backup).to.include({ backup_type: 'incremental', tracker: 'extents', bytes_transferred: 0 });
    for (const [index, bytes] of grown.entries()) {
      expect(bytes, index === 0 ? 'api' : 'worker').to.be.lessThan(MORE_BYTES);
    }
  });
});

import type { BackupCreate, BackupDiskCreate, PushAnswer, PushComplete } from '../../src/contract/index.js';
import { connectNbd, type NbdClient } from '../../src/datapath/nbd/index.js';
import {
  acceptBackup,
  awaitExport,
  completePush,
  failPush,
  type OpenExport,
  reportPush,
} from '../../src/producers/accept/index.js';
import type { TestFleet } from './fleet.js';

/** An agent's side of a pushed backup, by the calls behind the API. */
export interface PushAgent {
  backupId: string;
  /** Waits until the export of this attempt (1 by default) or a later one is open. */
  opened(attempt?: number): Promise<OpenExport>;
  /** Connects, lets `write` work, and disconnects. */
  write(work: (client: NbdClient) => Promise<void>, attempt?: number): Promise<void>;
  complete(body?: Partial<PushComplete>): Promise<PushAnswer>;
  progress(bytesDone: number, attempt?: number): Promise<PushAnswer>;
  fail(reason: string, attempt?: number): Promise<PushAnswer>;
}

const WAIT_MS = 20_000;

/** Asks for the backup of one pushed disk, disk 0 of 4 MiB unless told otherwise. */
export async function startPush(
  fleet: TestFleet,
  body: Partial<BackupCreate> = {},
  disk: Partial<BackupDiskCreate> = {},
): Promise<PushAgent> {
  const answer = await acceptBackup(fleet.accept, {
    vm_name: 'pushed',
    repository_id: 'main',
    backup_type: 'full',
    disks: [{ disk_id: 0, source: { type: 'push' }, virtual_size: 4 * 1024 * 1024, ...disk }],
    ...body,
  });
  return agentOf(fleet, answer.disk_results[0]?.backup_id ?? '', disk.disk_id ?? 0);
}

/** The agent of a backup that was asked for. */
export function agentOf(fleet: TestFleet, backupId: string, diskId = 0): PushAgent {
  const { signal } = new AbortController();
  const call = { backupId, signal };
  const opened = async (attempt = 1): Promise<OpenExport> => {
    const until = performance.now() + WAIT_MS;
    for (;;) {
      const open = await awaitExport(fleet.accept, call, 500);
      if (open && open.attempt >= attempt) return open;
      if (performance.now() > until) throw new Error(`No export was opened for ${backupId}.`);
      await fleet.accept.clock.sleep(50);
    }
  };
  return {
    backupId,
    opened,
    write: async (work, attempt) => {
      const client = await connectNbd((await opened(attempt)).uri);
      await work(client);
      await client.close();
    },
    complete: (stated) =>
      completePush(fleet.accept, call, { disk_id: diskId, bytes_transferred: 1, ...stated }),
    progress: (bytesDone, attempt) =>
      reportPush(fleet.accept, backupId, {
        bytes_done: bytesDone,
        ...(attempt === undefined ? {} : { attempt }),
      }),
    fail: (reason, attempt) =>
      failPush(fleet.accept, backupId, { reason, ...(attempt === undefined ? {} : { attempt }) }),
  };
}

import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob } from '../../../../../src/entities/index.js';
import { acceptRestore, type OpenExport } from '../../../../../src/producers/accept/index.js';
import type { TestFleet } from '../../../../helpers/fleet.js';
import type { PushAgent } from '../../../../helpers/pushAgent.js';
import { runTool } from '../../../../helpers/runTool.js';

export const MIB = 1024 * 1024;
/** Of the disks that agents push. */
export const SIZE = 4 * MIB;

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Waits for the end of a backup, which must be a good one, and gives its row. */
export async function completed(fleet: TestFleet, { backupId }: PushAgent): Promise<BackupJob> {
  const end = await fleet.ended(backupId);
  expect(end.status, `${end.error_code} ${end.error_detail}`).to.equal('completed');
  return fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id: backupId });
}

/** Restores a backup, verified, and demands that it has this content. */
export async function expectContent(fleet: TestFleet, backupId: string, content: Buffer): Promise<void> {
  const path = join(fleet.restores, `${backupId}.raw`);
  const target = { type: 'file' as const, path };
  const { restore_id } = await acceptRestore(fleet.accept, { backup_id: backupId, target, format: 'raw' });
  const end = await fleet.ended(restore_id);
  expect(end.status, end.error_detail ?? '').to.equal('completed');
  expect(sha256(await readFile(path)) === sha256(content), `the content of ${backupId}`).to.equal(true);
  await rm(path);
}

/** Process ids of the qemu-nbd servers of a fleet. */
export async function serversOf(fleet: TestFleet): Promise<number[]> {
  const lines = (await runTool('ps', '-eo', 'pid=,args=')).split('\n');
  return lines
    .filter((line) => /^\s*\d+ qemu-nbd /.test(line) && line.includes(fleet.repositoryRoot))
    .map((line) => Number.parseInt(line, 10));
}

/** Ports that are taken in the database, with their holders. */
export async function portsOf(fleet: TestFleet): Promise<{ port: number; backup_id: string }[]> {
  return fleet.suite.ds.query('SELECT port, backup_id FROM push_ports ORDER BY port');
}

/** Whether anybody listens where the export is, or was. */
export function listens({ port }: OpenExport): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port ?? 0, '127.0.0.1');
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** Waits until `holds` says so. */
export async function until(what: string, holds: () => Promise<boolean>, mostMs = 15_000): Promise<void> {
  const end = performance.now() + mostMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`Not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { acceptRestore } from '../../src/producers/accept/index.js';
import { compareImages } from '../../src/qcow2/index.js';
import type { TestFleet } from './fleet.js';
import type { Ledger } from './trackedVm.js';

/** Restores every backup of the ledger by the fleet, whose workers run, and compares it with its saved copy. */
export async function restoreAll(fleet: TestFleet, ledger: Ledger): Promise<void> {
  for (const { id, saved, format = 'raw' } of ledger.points) {
    const path = join(fleet.restores, `${id}.raw`);
    const { restore_id } = await acceptRestore(fleet.accept, {
      backup_id: id,
      target: { type: 'file', path },
      format: 'raw',
    });
    ledger.accepted.push(restore_id);
    const end = await fleet.ended(restore_id);
    expect(end.status, `${id}: ${end.error_detail}`).to.equal('completed');
    const { identical, message } = await compareImages(
      { type: 'file', path, format: 'raw' },
      { type: 'file', path: saved, format },
    );
    expect(identical, `${id}: ${message}`).to.equal(true);
    await rm(path);
  }
}

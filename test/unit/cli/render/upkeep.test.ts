import { expect } from 'chai';
import type { ReconcileReport } from '../../../../src/client/index.js';
import { renderRebuild, renderReconcile } from '../../../../src/cli/render/upkeep.js';

const REPORT: ReconcileReport = {
  repository_id: 'repo_1',
  dry_run: true,
  scanned: { directories: 1, files: 4 },
  counts: {
    quarantine: 2,
    bring_back: 0,
    write_manifest: 0,
    mark_damaged: 0,
    mark_suspect: 0,
    finish: 0,
    adopt: 0,
    leave: 0,
  },
  restorable: { files: 0, bytes: 0 },
  actions: [
    {
      action: 'quarantine',
      reason: 'unknown_file',
      message: 'No backup has it.',
      chain_id: 'chn_1',
      backup_id: null,
      file: 'vm/disk-0/stray',
    },
  ],
  jobs: [],
};

describe('The drawing of a reconciliation and a rebuild', () => {
  it('tells each action with its reason, how many more there are, and that nothing was done', () => {
    expect(renderReconcile(REPORT)).to.equal(`directories  1
files        4
to be done   2
only told    0
ACTION      REASON        FILE             WHY
quarantine  unknown_file  vm/disk-0/stray  No backup has it.
... and 1 more.
This was a dry run: nothing was changed.
`);
  });

  it('names the jobs that do it', () => {
    const jobs = [{ chain_id: 'chn_1', job_id: 'mnt_1', status: 'released' as const }];
    expect(renderReconcile({ ...REPORT, dry_run: false, jobs })).to.contain(
      'Accepted 1 job, one a chain: mnt_1.',
    );
  });

  it('tells what qemu-img restores and the catalogue lacks', () => {
    expect(renderReconcile({ ...REPORT, restorable: { files: 3, bytes: 5000 } })).to.contain(
      'restorable with qemu-img, not in the catalogue  5000 in 3 files',
    );
  });

  it('tells what a rebuild took in and what it refused', () => {
    const chain = {
      chain_id: 'chn_1',
      vm_context_id: 'web-1',
      vm_name: 'web',
      disk_id: 0,
      inserted: 2,
      existing: 1,
      refused: 0,
    };
    const about = { repository_id: 'repo_1', dry_run: false, inserted: 2, existing: 1, refused: 0 };
    expect(
      renderRebuild({ ...about, chains: [chain], problems: [] }),
    ).to.equal(`VM   DISK  TAKEN IN  KNOWN  REFUSED  CHAIN
web     0         2      1        0  chn_1
No problems.
`);
  });
});

import { expect } from 'chai';
import { renderValidation } from '../../../../src/cli/render/validation.js';
import type { Job } from '../../../../src/client/index.js';

const job = (result: Job['result']): Job => ({
  id: 'mnt_1',
  kind: 'maintenance',
  type: 'validate',
  status: 'completed',
  chain_id: 'chn_1',
  vm_context_id: 'vm',
  vm_name: 'vm',
  disk_id: 0,
  repository_id: 'repo_1',
  attempts: 1,
  cancel_requested: false,
  progress: null,
  error: null,
  result,
  created_at: '2026-11-23T00:00:00.000Z',
  started_at: null,
  completed_at: null,
});

describe('a printed validation', () => {
  it('says what is damaged, where, which restores have it, and what to do next', () => {
    const text = renderValidation(
      job({
        healthy: false,
        chain_health: 'damaged',
        checked_files: 2,
        affected: ['bkp_1'],
        read: { files: 2, bytes: 3 * 1024 ** 2 },
        findings: [{ severity: 'error', code: 'data_damaged', backup_id: 'bkp_1', message: 'Wrong.' }],
        backups: [
          { backup_id: 'bkp_1', affected: [{ offset: 65536, length: 131072, in_backup: 'bkp_1' }] },
          { backup_id: 'bkp_2', affected: [] },
        ],
        next_steps: [{ code: 'data_damaged', do: 'Run a backup.' }],
      }),
      (bytes) => `${bytes} B`,
    );
    expect(text).to.contain('read           2 files, 3145728 B');
    expect(text).to.match(/^bkp_1 +wrong +65536 +131072 +bkp_1$/m);
    expect(text).to.contain('What to do next:\n  data_damaged: Run a backup.\n');
  });

  it('of a quick check without findings is short', () => {
    const text = renderValidation(
      job({ healthy: true, chain_health: 'ok', checked_files: 2, affected: [], findings: [], backups: [] }),
      String,
    );
    expect(text).to.not.contain('RESTORE OF').and.not.contain('next');
  });
});

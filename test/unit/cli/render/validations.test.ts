import { expect } from 'chai';
import { renderAcceptedValidations, renderValidations } from '../../../../src/cli/render/validations.js';
import type { Job } from '../../../../src/client/index.js';

const place = (vm_name: string) => ({
  chain_id: `chn_${vm_name}`,
  vm_context_id: vm_name,
  vm_name,
  disk_id: 0,
});
const job = (vm: string, result: Job['result']): Job => ({
  ...place(vm),
  id: `mnt_${vm}`,
  kind: 'maintenance',
  type: 'validate',
  status: 'completed',
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
const well = { healthy: true, chain_health: 'ok', affected: [], findings: [] };
const ill = {
  healthy: false,
  chain_health: 'damaged',
  affected: ['bkp_1', 'bkp_2'],
  findings: [{ severity: 'error', code: 'file_missing', backup_id: 'bkp_1', message: 'Gone.' }],
  next_steps: [{ code: 'file_missing', do: 'Put it back.' }],
};

describe('the printed validations of many chains', () => {
  it('begin with the ill ones, and say each next step once, with the chains that want it', () => {
    const text = renderValidations([job('a', well), job('b', ill), job('c', ill)], []);
    const [, first, second, third] = text.split('\n');
    expect([first, second, third].map((line) => line?.split(/ +/).slice(0, 6))).to.deep.equal([
      ['b', '0', 'damaged', '1', '0', '2'],
      ['c', '0', 'damaged', '1', '0', '2'],
      ['a', '0', 'ok', '0', '0', '0'],
    ]);
    expect(text).to.contain('1 of 3 chains are healthy.\n');
    expect(text).to.contain('  file_missing: Put it back.\n    b disk 0, c disk 0\n');
  });

  it('do not call a chain healthy whose validation did not come to its end', () => {
    const text = renderValidations([{ ...job('a', null), status: 'cancelled' }], []);
    expect(text).to.contain('cancelled').and.to.contain('0 of 1 chains are healthy.');
  });

  it('are announced with what was open already and what was skipped', () => {
    const accepted = { job_id: 'mnt_1', status: 'queued' as const };
    const text = renderAcceptedValidations({
      level: 'deep',
      jobs: [
        { ...place('a'), ...accepted, added: true },
        { ...place('b'), ...accepted, added: false },
      ],
      skipped: [{ ...place('c'), reason: 'no_backups' }],
    });
    expect(text).to.contain('2 deep validations, 1 of them accepted before.\n');
    expect(text).to.contain('c disk 0: skipped (no_backups)\n');
  });
});

import { expect } from 'chai';
import { restorePointStatus } from '../../../src/db/chain/settlePoint.js';

describe('The state of a restore point', () => {
  it('is complete only when every disk is', () => {
    expect(restorePointStatus({ completed: 2 }, 0)).to.equal('completed');
    expect(restorePointStatus({ completed: 1, queued: 1 }, 0)).to.equal('running');
    expect(restorePointStatus({ queued: 2 }, 0)).to.equal('pending');
    expect(restorePointStatus({ released: 1, queued: 1 }, 0)).to.equal('pending');
  });

  it('is failed when one disk failed, whatever the others did', () => {
    expect(restorePointStatus({ completed: 5, failed: 1 }, 0)).to.equal('failed');
    expect(restorePointStatus({ completed: 5, failed: 1, running: 1 }, 0)).to.equal('running');
  });

  it('warns when disks of the VM were left out', () => {
    expect(restorePointStatus({ completed: 1 }, 1)).to.equal('completed_with_warnings');
  });
});

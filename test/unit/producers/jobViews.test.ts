import { expect } from 'chai';
import { lineOf } from '../../../src/db/job/line.js';
import { toJobEvent } from '../../../src/producers/http/views/job.js';

describe('The event of a job', () => {
  const state = {
    id: 'mnt_1',
    kind: 'maintenance',
    status: 'running',
    cancelRequested: false,
    progress: null,
    errorCode: null,
    errorDetail: null,
  } as const;

  it('names the chain of a job, and no chain where the job stands in the line of its repository', () => {
    expect(toJobEvent({ ...state, chainId: 'chn_1' }).chain_id).to.equal('chn_1');
    expect(toJobEvent({ ...state, chainId: lineOf('repo_1') }).chain_id).to.equal(null);
  });
});

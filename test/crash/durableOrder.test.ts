import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { createTrackedVm, type Ledger } from '../helpers/trackedVm.js';
import { startWorkerProcess } from '../helpers/workerProcess.js';

const MIB = 1024 * 1024;

describe('A backup', function () {
  this.timeout(60_000);
  let fleet: TestFleet;
  before(async () => {
    fleet = await openFleet();
  });
  after(() => fleet.close());

  it('has its name only when its bytes are flushed, and its row only when its name is', async () => {
    const log = join(fleet.suite.tempDir, 'operations');
    const ledger: Ledger = { accepted: [], points: [] };
    const vm = await createTrackedVm(fleet, ledger, { name: 'vm', sizeBytes: 4 * MIB, pieces: [[0, MIB]] });
    const worker = startWorkerProcess(fleet, 'backup', {
      STRATA_TEST_KILL_AT: '0',
      STRATA_TEST_KILL_ROOT: fleet.repositoryRoot,
      STRATA_TEST_KILL_LOG: log,
    });
    try {
      const id = await vm.accept('full');
      expect((await fleet.ended(id)).status, worker.output()).to.equal('completed');
    } finally {
      await worker.stop();
    }
    const operations = (await readFile(log, 'utf8')).trim().split('\n');
    const indexes = (what: RegExp, from = 0) =>
      operations.flatMap((line, index) => (index >= from && what.test(line) ? [index] : []));
    const [firstLink = -1, ...links] = indexes(/ link /);
    const imageLink = links.at(-1) ?? -1;
    expect(operations[imageLink], 'the image gets its name last').to.contain('.qcow2.');
    const opened = indexes(/ open .*\.partial$/);
    expect(opened, 'files that are written').to.have.length(3);
    for (const index of opened) {
      const flushed = indexes(/ fsync$/, index).filter((at) => at < firstLink);
      expect(flushed, `flushes after ${operations[index]}, before any name is given`).to.not.deep.equal([]);
    }
    expect(indexes(/ fsync$/, opened[0]).filter((at) => at < firstLink).length).to.be.at.least(3);
    const [directory = Number.POSITIVE_INFINITY] = indexes(/ fsync$/, imageLink);
    const [commit = -1] = indexes(/ sql UPDATE backup_chains/, imageLink);
    expect(directory, 'the directory is flushed before the commit').to.be.lessThan(commit);
    expect(indexes(/ (spawn|open) /, firstLink), 'nothing is written under a final name').to.deep.equal([]);
  });
});

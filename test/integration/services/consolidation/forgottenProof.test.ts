import { expect } from 'chai';
import { LayerProof } from '../../../../src/entities/index.js';
import { linearChain, type MergeBench, openMergeBench } from '../../../helpers/mergeBench.js';

describe('A consolidation of files that were read deep', function () {
  this.timeout(60_000);
  let bench: MergeBench;
  afterEach(() => bench.close());

  it('forgets what was read of the file that it replaces, and of no other', async () => {
    bench = await openMergeBench(linearChain(2));
    const proofs = () => bench.ds.getRepository(LayerProof).find({ order: { backupId: 'ASC' } });
    const provedAt = new Date();
    const ids = [bench.at(1).id, bench.at(3).id];
    await bench.ds.getRepository(LayerProof).insert(ids.map((backupId) => ({ backupId, provedAt })));
    await bench.attempt(await bench.add(bench.at(2)), 'copy');
    expect((await proofs()).map(({ backupId }) => backupId)).to.deep.equal([bench.at(1).id]);
  });
});

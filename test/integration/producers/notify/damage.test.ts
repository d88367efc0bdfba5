import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Backup } from '../../../../src/contract/index.js';
import { createNotifier } from '../../../../src/producers/notify/notifier.js';
import type { ValidationReport } from '../../../../src/services/validation/index.js';
import { placeOf } from '../../services/validation/deep/places.js';
import { flip } from '../../services/validation/faultTools.js';
import { openApi, type TestApi } from '../http/support.js';
import { type Receiver, startReceiver } from './receiver.js';

describe('A webhook', () => {
  let api: TestApi;
  let receiver: Receiver;
  const stop = new AbortController();

  before(async () => {
    api = await openApi();
    receiver = await startReceiver();
    await api.call('POST', 'webhooks', { body: { name: 'portal', url: receiver.url } });
    await writeFile(join(api.fleet.sources, 'disk.raw'), randomBytes(1 << 20));
    api.fleet.work();
  });
  after(async () => {
    stop.abort();
    await receiver.close();
    await api.close();
  });

  const backUp = async (): Promise<Backup> => {
    const source = { type: 'file', path: join(api.fleet.sources, 'disk.raw'), format: 'raw' };
    const disks = [{ disk_id: 0, source }];
    const body = { vm_name: 'vm', repository_id: 'main', backup_type: 'full', disks };
    const { body: answer } = await api.call('POST', 'backups', { body });
    const id = String(answer.disk_results[0].backup_id);
    await api.fleet.ended(id);
    return (await api.call('GET', `backups/${id}`)).body;
  };
  /** What a deep validation makes the webhook hear, by the event's type. */
  const toldBy = async ({ chain_id }: Backup): Promise<Map<string, Record<string, unknown>>> => {
    const body = { level: 'deep' };
    const { body: accepted } = await api.call('POST', `chains/${chain_id}/validate`, { body });
    await api.fleet.ended(accepted.job_id);
    await round();
    return new Map(receiver.got.map((each) => [each.body.type, each.body.data]));
  };
  const round = async () => {
    receiver.got.length = 0;
    const options = { timeoutMs: 1_000, giveUpMs: 3_600_000, signal: stop.signal };
    const notifier = createNotifier({ ...api.fleet.accept, metrics: api.fleet.worker.metrics }, options);
    await notifier.run();
    await notifier.settled();
  };

  it('is told of damage that a validation finds, with the report, and when it is gone; metrics count it', async () => {
    const backup = await backUp();
    const image = join(api.fleet.repositoryRoot, backup.repository_path ?? '');
    const place = await placeOf(image, 70_000);
    await round();
    await flip(image, place);
    const told = await toldBy(backup);
    expect([...told.keys()]).to.have.members([
      'backup.damaged',
      'validation.unhealthy',
      'maintenance.completed',
    ]);
    expect(told.get('backup.damaged')).to.include({ id: backup.id, health: 'damaged' });
    const result = told.get('validation.unhealthy')?.['result'] as ValidationReport;
    expect(result).to.include({ healthy: false, chain_health: 'damaged' });
    expect(result.affected).to.deep.equal([backup.id]);
    const metrics = await api.fleet.worker.metrics.registry.metrics();
    expect(metrics).to.match(/^strata_validations_total\{level="deep",healthy="false",role="test"\} 1$/m);
    expect(metrics).to.match(/^strata_damaged_backups_found_total\{role="test"\} 1$/m);
    await flip(image, place);
    expect([...(await toldBy(backup)).keys()]).to.have.members(['backup.cleared', 'maintenance.completed']);
  });
});

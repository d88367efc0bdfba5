import { expect } from 'chai';
import { atMost } from '../../../src/shared/abort.js';

describe('Work that is waited for at most so long', () => {
  const never = () => new Promise<string>(() => undefined);

  it('gives what it gives in time', async () => {
    expect(await atMost(Promise.resolve('found'), 10_000)).to.equal('found');
  });

  it('gives nothing where it takes longer', async () => {
    expect(await atMost(never(), 5)).to.equal(undefined);
  });

  it('throws what it throws in time', async () => {
    const failing = atMost(Promise.reject(new Error('no disk')), 10_000);
    expect(await failing.catch((error: unknown) => String(error))).to.equal('Error: no disk');
  });

  it('leaves a failure that comes later to nobody', async () => {
    const heard: unknown[] = [];
    const hear = (error: unknown) => heard.push(error);
    process.on('unhandledRejection', hear);
    let fail: (error: Error) => void = () => undefined;
    const failsLate = new Promise<string>((_, reject) => {
      fail = reject;
    });
    expect(await atMost(failsLate, 5)).to.equal(undefined);
    fail(new Error('too late'));
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', hear);
    expect(heard).to.deep.equal([]);
  });
});

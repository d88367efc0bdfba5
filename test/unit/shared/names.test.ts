import { expect } from 'chai';
import fc from 'fast-check';
import { checkVmName, slug } from '../../../src/shared/names.js';

const accepted = (name: string) => {
  try {
    checkVmName(name, 'vm_name');
    return true;
  } catch {
    return false;
  }
};

describe('Names', () => {
  it('may be what hypervisors allow', () => {
    for (const name of [
      'web01',
      'Web Server 01 (prod)',
      'größe_1',
      'a',
      'x'.repeat(128),
      'mail@example.org',
    ]) {
      expect(accepted(name), name).to.equal(true);
    }
  });

  it('may not lead out of a directory or look like an option', () => {
    for (const name of [
      '',
      '..',
      '../etc',
      'a/../b',
      'a/b',
      '-rf',
      '.hidden',
      'a\0b',
      'a\nb',
      'a..b',
      'x'.repeat(129),
      ' a',
      'a ',
    ]) {
      expect(accepted(name), JSON.stringify(name)).to.equal(false);
    }
  });

  it('have a slug that is always one harmless path component', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        expect(slug(name)).to.match(/^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$/);
        expect(slug(name)).not.to.contain('..');
      }),
    );
  });
});

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
  /** What VMware, libvirt, Xen, Hyper-V and Proxmox let somebody write. */
  const ALLOWED = [
    'web01',
    'Web Server 01 (prod)',
    'größe_1',
    'a',
    'x'.repeat(255),
    '😀'.repeat(255),
    'mail@example.org',
    '[prod] web',
    "O'Reilly & Söhne: web/1",
    'back\\slash "quoted" <b>100%</b> $HOME `id` ;*?|#~^={}',
    'हिन्दी वीएम',
    'e\u0301 decomposed',
    'ไทย',
    'می\u200Cخواهم',
    '-rf',
    '.hidden',
    '..',
    '../etc/passwd',
    'a..b',
    '日本語のサーバー',
    '{F00-BA4}',
  ];
  for (const name of ALLOWED) {
    it(`may be what hypervisors allow: ${name.slice(0, 30)}`, () => {
      expect(accepted(name)).to.equal(true);
    });
  }

  it('are one line that can be seen, without a blank at an end', () => {
    const refused = [
      '',
      ' ',
      ' a',
      'a ',
      'a\u00A0',
      '\tb',
      'a\0b',
      'a\nb',
      'a\u2028b',
      'a\u0085b',
      'a\u007Fb',
    ];
    for (const name of [...refused, '\u200B', '\u202E', '\u3164', '\uD800', 'x'.repeat(256), '\u0301']) {
      expect(accepted(name), JSON.stringify(name)).to.equal(false);
    }
  });

  it('that are accepted have no control character, no line end and no blank at an end', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        fc.pre(accepted(name));
        // oxlint-disable-next-line no-control-regex
        expect(name).not.to.match(/[\0-\x1F\x7F-\x9F\u2028\u2029]|^\s|\s$/u);
      }),
    );
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

import { expect } from 'chai';
import { parseNbdUri } from '../../../../src/datapath/nbd/index.js';
import { isNbdAllowed } from '../../../../src/datapath/sources/nbdAllow.js';
import { StrataError } from '../../../../src/shared/errors.js';

const allowed = (uri: string, ...allow: string[]) => isNbdAllowed(parseNbdUri(uri), allow);

describe('An NBD allow list', () => {
  it('allows nothing when it is empty', () => {
    expect(allowed('nbd://localhost/')).to.equal(false);
  });

  it('matches hosts whole, never as prefixes', () => {
    expect(allowed('nbd://backup/', 'backup')).to.equal(true);
    expect(allowed('nbds://BACKUP:1234/x', 'backup')).to.equal(true);
    expect(allowed('nbd://backup.evil.example/', 'backup')).to.equal(false);
    expect(allowed('nbd://evil-backup/', 'backup')).to.equal(false);
    expect(allowed('nbd://[::1]:10809/', '[::1]')).to.equal(true);
  });

  it('takes a port that is given as the only one', () => {
    expect(allowed('nbd://backup/', 'backup:10809')).to.equal(true);
    expect(allowed('nbd://backup:22/', 'backup:10809')).to.equal(false);
    expect(allowed('nbd://anything:10809/', '*:10809')).to.equal(true);
  });

  it('lets a wildcard stand for hosts below a domain only', () => {
    expect(allowed('nbd://a.example.com/', '*.example.com')).to.equal(true);
    expect(allowed('nbd://example.com/', '*.example.com')).to.equal(false);
    expect(allowed('nbd://badexample.com/', '*.example.com')).to.equal(false);
  });

  it('compares URIs part by part', () => {
    expect(allowed('nbd://backup/vm-1', 'nbd://backup/vm-')).to.equal(true);
    expect(allowed('nbd://backup/other', 'nbd://backup/vm-')).to.equal(false);
    expect(allowed('nbd://backup.evil/vm-1', 'nbd://backup/')).to.equal(false);
    expect(allowed('nbd://backup:99/vm-1', 'nbd://backup/')).to.equal(false);
    expect(allowed('nbd://backup/', 'nbds://backup/')).to.equal(false);
  });

  it('matches sockets by their resolved path, and never by a host', () => {
    const address = parseNbdUri('nbd+unix:///?socket=/run/vms/a.sock');
    expect(isNbdAllowed(address, ['/run/vms'], '/run/vms/a.sock')).to.equal(true);
    expect(isNbdAllowed(address, ['/run/vm'], '/run/vms/a.sock')).to.equal(false);
    expect(isNbdAllowed(address, ['*'], '/run/vms/a.sock')).to.equal(false);
  });

  it('with an entry that is no address is a configuration error', () => {
    for (const entry of ['', 'a b', 'nbd:/x', 'http://host/', 'host:port']) {
      expect(() => allowed('nbd://backup/', entry))
        .to.throw(StrataError)
        .with.property('code', 'invalid_configuration');
    }
  });
});

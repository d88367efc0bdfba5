import { expect } from 'chai';
import * as fc from 'fast-check';
import { parseNbdUri } from '../../../../src/datapath/nbd/index.js';
import { isStrataError } from '../../../../src/shared/errors.js';

const tcp = (host: string, port: number, exportName: string, tls = false) => ({
  kind: 'tcp',
  host,
  port,
  exportName,
  tls,
});
const unix = (socketPath: string, exportName: string, tls = false) => ({
  kind: 'unix',
  socketPath,
  exportName,
  tls,
});

describe('parseNbdUri', () => {
  const good: [string, object][] = [
    ['nbd://example.com/disk', tcp('example.com', 10809, 'disk')],
    ['nbd://example.com:10810/disk', tcp('example.com', 10810, 'disk')],
    ['nbd://example.com', tcp('example.com', 10809, '')],
    ['nbd://example.com/', tcp('example.com', 10809, '')],
    ['nbd://example.com//disk', tcp('example.com', 10809, '/disk')],
    ['nbd://example.com/a/../b', tcp('example.com', 10809, 'a/../b')],
    ['nbd://example.com/hello%20world', tcp('example.com', 10809, 'hello world')],
    ['nbd://example.com/a+b', tcp('example.com', 10809, 'a+b')],
    ['nbd://[::1]:1234/x', tcp('::1', 1234, 'x')],
    ['nbd://127.0.0.1/x', tcp('127.0.0.1', 10809, 'x')],
    ['NBD://host/x', tcp('host', 10809, 'x')],
    ['nbds://host/x', tcp('host', 10809, 'x', true)],
    ['nbds://alice@host/x', { ...tcp('host', 10809, 'x', true), username: 'alice' }],
    ['nbd+unix:///disk?socket=/run/nbd.sock', unix('/run/nbd.sock', 'disk')],
    ['nbd+unix://?socket=/run/nbd.sock', unix('/run/nbd.sock', '')],
    ['nbds+unix:///d%C3%BCsk?socket=/run/a%20b', unix('/run/a b', 'düsk', true)],
  ];
  for (const [uri, address] of good) {
    it(`reads ${uri}`, () => expect(parseNbdUri(uri)).to.deep.equal(address));
  }

  const bad = [
    '',
    'nbd:',
    'nbd:unix:/run/x',
    'http://host/x',
    'nbd+vsock://1/x',
    'nbd:///x',
    'nbd://:10809/x',
    'nbd://host:0/x',
    'nbd://host:65536/x',
    'nbd://host:abc/x',
    'nbd://host:1:2/x',
    'nbd://ho st/x',
    'nbd://host/x y',
    'nbd://host/x\n',
    'nbd://host/%zz',
    'nbd://host/%ff',
    'nbd://host/a%00b',
    'nbd://ho%2Fst/x',
    'nbd://host/x#part',
    'nbd://host/x?socket=/y',
    'nbd://host/x?tls-verify-peer=0',
    'nbd://a:b@host/x',
    'nbd://@host/x',
    'nbd://[zz]/x',
    `nbd://host/${'x'.repeat(4097)}`,
    'nbd+unix:///x',
    'nbd+unix:///x?socket=',
    'nbd+unix:///x?socket=relative',
    'nbd+unix:///x?socket=%00abstract',
    'nbd+unix:///x?socket=/a&socket=/b',
    'nbd+unix:///x?socket=/a&tls-psk-file=/b',
    'nbd+unix:///x?socket',
    'nbd+unix://host/x?socket=/a',
    `nbd+unix:///x?socket=/${'x'.repeat(107)}`,
  ];
  for (const uri of bad) {
    it(`refuses ${JSON.stringify(uri.slice(0, 60))} as invalid_request`, () => {
      expect(() => parseNbdUri(uri))
        .to.throw()
        .with.property('code', 'invalid_request');
    });
  }

  it('gives back every export name and socket path that was encoded into a URI', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((name) => !name.includes('\0'));
    fc.assert(
      fc.property(text, (name) => {
        const address = parseNbdUri(`nbd+unix:///${encodeURIComponent(name)}?socket=/run/s`);
        expect(address.exportName).to.equal(name);
      }),
    );
  });

  it('answers any text with an address or invalid_request', () => {
    const near = fc.array(
      fc.constantFrom(
        'nbd',
        's',
        '+unix',
        '://',
        '/',
        '?',
        'socket=',
        '%',
        '@',
        ':',
        '[',
        ']',
        '&',
        'x',
        '00',
      ),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          near.map((parts) => parts.join('')),
        ),
        (uri) => {
          try {
            parseNbdUri(uri);
          } catch (error) {
            expect(isStrataError(error, 'invalid_request')).to.equal(true);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

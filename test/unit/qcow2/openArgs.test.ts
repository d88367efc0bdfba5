import { expect } from 'chai';
import { openArgs } from '../../../src/qcow2/imageRef.js';
import { nbdUnixUri } from '../../../src/qcow2/serve.js';
import { toolCommand } from '../../../src/qcow2/toolProcess.js';

describe('openArgs', () => {
  it('spells nbds:// as options with a TLS object of its own name', () => {
    const uri = 'nbds://[::1]:4000/disk%200?tls-certificates=/etc/strata,tls';
    const { objects, format, name } = openArgs({ type: 'nbd', uri }, 'tls-source');
    expect(objects).to.deep.equal([
      '--object',
      'tls-creds-x509,id=tls-source,endpoint=client,verify-peer=on,dir=/etc/strata,,tls',
    ]);
    expect(format).to.equal('raw');
    expect(JSON.parse(name.replace(/^json:/, ''))).to.deep.equal({
      driver: 'raw',
      file: {
        driver: 'nbd',
        server: { type: 'inet', host: '::1', port: '4000' },
        export: 'disk 0',
        'tls-creds': 'tls-source',
      },
    });
  });

  it('spells a unix socket of any name as options, because newer QEMU refuses what is escaped in its URI', () => {
    const { name, objects } = openArgs({ type: 'nbd', uri: nbdUnixUri('/run/a b&c%+d.sock', 'x/y') }, 'tls0');
    expect(objects).to.eql([]);
    expect(JSON.parse(name.replace(/^json:/, ''))).to.eql({
      driver: 'raw',
      file: { driver: 'nbd', server: { type: 'unix', path: '/run/a b&c%+d.sock' }, export: 'x/y' },
    });
  });

  for (const uri of ['nbds://host/', 'http://host/', 'nbds://:x/', '/dev/sda', 'json:{}']) {
    it(`refuses ${uri}`, () => {
      expect(() => openArgs({ type: 'nbd', uri }, 'tls0'))
        .to.throw()
        .with.property('code', 'invalid_request');
    });
  }

  it('opens a QCOW2 file without its backing file through the json: form', () => {
    const { name } = openArgs({ type: 'file', path: '/a,b"c', format: 'qcow2', noBacking: true }, 'tls0');
    expect(name).to.equal('json:{"driver":"qcow2","file":{"filename":"/a,b\\"c"},"backing":null}');
  });
});

describe('nbdUnixUri', () => {
  it('escapes all but the slashes of the socket', () => {
    expect(nbdUnixUri('/run/a b&c.sock', 'x/y')).to.equal('nbd+unix:///x%2Fy?socket=/run/a%20b%26c.sock');
  });
});

describe('toolCommand', () => {
  it('puts limits and priorities between setpriv and the tool', () => {
    const limits = { addressSpaceBytes: 1, cpuSeconds: 2, fileSizeBytes: 3 };
    const { file, args } = toolCommand(
      { tool: 'qemu-img', args: ['info'], deadlineMs: 1 },
      { limits, idle: true },
    );
    expect([file, ...args].join(' ')).to.equal(
      'setpriv --pdeathsig KILL -- prlimit --as=1 --cpu=2 --fsize=3 -- ionice -c 3 -t nice -n 19 qemu-img info',
    );
  });
});

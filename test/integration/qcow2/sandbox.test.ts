import { once } from 'node:events';
import { chown, mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect } from 'chai';
import { findSandbox, mapImage, serveImage } from '../../../src/qcow2/index.js';
import { holdSocket } from '../../../src/qcow2/sandbox/holdSocket.js';
import { type Confined, confine, ROOT } from './confined.js';
import { failureOf, isAlive, rejection, run, tempDir } from './images.js';

/** open_by_handle_at(2) and what unfiltered it would say of these arguments: EBADF or EFAULT, never EPERM. */
const BY_HANDLE = process.arch === 'arm64' ? 265 : 304;
const EPERM = 1;

const refOf = ({ at, image }: Confined) =>
  ({ type: 'file', path: at('disk.qcow2'), format: 'qcow2', foreign: image }) as const;

describe('A tool in the sandbox', () => {
  let confined: Confined;
  before(async function () {
    const found = await confine();
    if (!found) this.skip();
    confined = found;
  });
  after(() => confined?.remove());

  it('sees no file of the host but its programs and libraries', async () => {
    const seen = (await confined.inside('ls /')).split('\n').sort();
    expect(['dev', 'etc', 'lib', 'lib64', 'proc', 'usr']).to.include.members(seen);
    expect(await confined.inside('ls /etc /dev')).to.match(/^\/dev:\nnull\n\n\/etc:(\nld\.so\.cache)?$/);
    expect(
      await confined.inside(`cat ${confined.at('secret')} /etc/passwd 2>/dev/null || echo nothing`),
    ).to.equal('nothing');
  });

  it('inherits its image, and no other descriptor of the worker', async () => {
    const throughNode = await inheritable();
    const shown = (await confined.inside('ls /proc/self/fd')).split('\n').map(Number);
    // What this process was started with and Node lets through is not Strata's; 4 is of the listing itself.
    const descriptors = shown.filter((fd) => !throughNode.includes(fd)).sort((a, b) => a - b);
    expect(descriptors).to.deep.equal([0, 1, 2, 3, 4]);
    expect(await confined.inside('head -c 3 /proc/self/fd/3')).to.equal('QFI');
  });

  it('cannot write to its image, nor to anything else', async () => {
    const tries = ['/proc/self/fd/3', '/x', '/usr/x', '/proc/sys/kernel/hostname', '/proc/self/comm'];
    for (const path of ROOT ? tries : tries.slice(1)) {
      expect(await confined.inside(`(echo x > ${path}) 2>/dev/null || echo refused`), path).to.equal(
        'refused',
      );
    }
    expect((await readFile(confined.at('disk.qcow2'))).subarray(0, 3).toString()).to.equal('QFI');
  });

  it('is nobody, with no way to more', async function () {
    if (!ROOT) this.skip();
    const status = await confined.inside('cat /proc/self/status');
    expect(status).to.match(/^Uid:\s+65534\s+65534\s+65534\s+65534$/m);
    expect(status).to.match(/^Gid:\s+65534\s+65534\s+65534\s+65534$/m);
    expect(status).to.match(/^Groups:\s*$/m);
    // CAP_DAC_READ_SEARCH, as its owner alone may read the image.
    for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb']) {
      expect(status).to.match(new RegExp(`^Cap${set}:\\s+0000000000000004$`, 'm'));
    }
    expect(status).to.match(/^NoNewPrivs:\s+1$/m);
    expect(status).to.match(/^Seccomp:\s+2$/m);
    const open = {
      ...confined.image,
      files: confined.image.files.map((one) => ({ ...one, readableBy: 'anybody' as const })),
    };
    expect(await confined.inside('cat /proc/self/status', open)).to.match(/^CapBnd:\s+0000000000000000$/m);
    const worker = {
      ...confined.image,
      files: confined.image.files.map((one) => ({ ...one, readableBy: 'worker' as const })),
    };
    const asRoot = await confined
      .inside('cat /proc/self/status; (echo x > /proc/sys/kernel/domainname) 2>&1', worker)
      .catch((error: unknown) => String(error));
    expect(asRoot).to.not.match(/^Cap(Eff|Bnd):\s+\S*[1-9a-f]/m);
  });

  it('cannot open files by handles, nor make or enter a namespace', async () => {
    const perl = `perl -e '$! = 0; syscall(${BY_HANDLE}, -1, 0, 0); print $! + 0'`;
    expect(Number(await confined.inside(perl))).to.equal(EPERM);
    for (const flag of ['--user', '--mount', '--net']) {
      expect(await confined.inside(`unshare ${flag} true 2>/dev/null || echo refused`), flag).to.equal(
        'refused',
      );
    }
    expect(await confined.inside('mount -t tmpfs none /usr 2>/dev/null || echo refused')).to.equal('refused');
  });

  it('reaches no server of the host, and sees no process of the host', async () => {
    let visitors = 0;
    const server = createServer((socket) => {
      visitors++;
      socket.destroy();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      const info = `qemu-img info -f raw nbd://127.0.0.1:${port}/ 2>&1 || true`;
      expect(await confined.inside(info)).to.match(/Failed to connect|refused|unreachable/);
      expect(visitors).to.equal(0);
    } finally {
      server.close();
    }
    const interfaces = await confined.inside('cat /proc/net/dev');
    expect(interfaces.match(/^\s*\w+:/gm)?.map((name) => name.trim())).to.deep.equal(['lo:']);
    const processes = (await confined.inside('ls /proc')).split('\n').filter((name) => /^\d+$/.test(name));
    expect(processes.length).to.be.at.most(4);
  });

  it('may make its socket and write no byte beside it, and that directory is gone when it is', async () => {
    await mkdir(confined.at('sockets'));
    const server = await serveImage({
      ref: refOf(confined),
      readOnly: true,
      socketPath: confined.at('sockets/a'),
    });
    try {
      expect(await readdir(confined.at('sockets/a'))).to.deep.equal(['s']);
      const { stdout } = await run('nbdinfo', ['--size', server.uri]);
      expect(stdout.trim()).to.equal(String(4 * 1024 ** 2));
      const box = confined.at('sockets/b');
      await mkdir(box);
      if (ROOT) await chown(box, 65534, 65534);
      const fill = `: > ${box}/x; (echo too much > ${box}/x) 2>/dev/null; wc -c < ${box}/x`;
      expect(await confined.inside(fill, confined.image, box).catch(() => '0')).to.equal('0');
      expect((await readFile(confined.at('sockets/b/x'))).length).to.equal(0);
      await rm(box, { recursive: true });
    } finally {
      await server.close();
    }
    expect(await readdir(confined.at('sockets'))).to.deep.equal([]);
    expect(await isAlive(server.pid)).to.equal(false);
  });

  it('says what it did not find by the real path, and is not blamed on the sandbox', async () => {
    const wrong = { ...refOf(confined), format: 'vdi' } as const;
    const error = await rejection(mapImage(wrong).next(), 'tool_failed');
    expect(error.message).to.contain(confined.at('disk.qcow2')).and.not.to.contain('/proc/self/fd');
  });
});

describe('The socket of a server in the sandbox', () => {
  it('is what was made there, whatever link is put in its place later', async () => {
    const temp = await tempDir();
    const answering = (path: string, word: string) => {
      const server = createServer((socket) => void socket.end(word));
      return new Promise<typeof server>((resolve) => server.listen(path, () => resolve(server)));
    };
    const [own, other] = [await answering(temp.at('s'), 'own'), await answering(temp.at('other'), 'other')];
    try {
      const held = await holdSocket(temp.at('s'));
      await rename(temp.at('s'), temp.at('gone'));
      await symlink(temp.at('other'), temp.at('s'));
      const [answer] = (await once(connect(held.path), 'data')) as [Buffer];
      expect(answer.toString()).to.equal('own');
      await held.close();
      await rejection(holdSocket(temp.at('s')), 'tool_failed');
    } finally {
      own.close();
      other.close();
      await temp.remove();
    }
  });
});

describe('Where no sandbox can be made', () => {
  it('the reason is said, and nothing is left', async () => {
    const temp = await tempDir();
    try {
      const directory = temp.at('absent');
      expect(await failureOf(findSandbox(directory))).to.have.property('code', 'ENOENT');
      expect(await readdir(temp.dir)).to.deep.equal([]);
    } finally {
      await temp.remove();
    }
  });
});

/** Descriptors of this process, beyond the standard streams, that a child gets (O_CLOEXEC is not set, proc(5)). */
async function inheritable(): Promise<number[]> {
  const found = await Promise.all(
    (await readdir('/proc/self/fdinfo')).map(async (fd) => {
      const text = await readFile(`/proc/self/fdinfo/${fd}`, 'utf8').catch(() => 'flags: 02000000');
      const flags = Number.parseInt(/^flags:\s*(\d+)$/m.exec(text)?.[1] ?? '0', 8);
      return (flags & 0o2000000) === 0 ? Number(fd) : 0;
    }),
  );
  return found.filter((fd) => fd > 2);
}

import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createImage, imageInfo } from '../../../../src/qcow2/index.js';
import { bringBackImage } from '../../../../src/services/repository/bringBack.js';
import { heldImages, readImages, wholeImages } from '../../../../src/services/repository/standing/index.js';

const { signal } = new AbortController();
const DISK = 'vm/disk-0';

describe('Images of a repository, as their headers tell', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'strata-standing-'));
    await mkdir(join(root, DISK), { recursive: true });
    await mkdir(join(root, 'elsewhere'));
  });
  afterEach(() => rm(root, { recursive: true }));

  const at = (name: string) => join(root, DISK, name);
  const make = (path: string, below?: string) =>
    createImage(path, {
      virtualSizeBytes: 1024 * 1024,
      ...(below === undefined ? {} : { backing: { name: below, format: 'qcow2' as const } }),
    });
  const heldOf = async (...names: string[]) => {
    const doomed = new Set(names.map((name) => `${DISK}/${name}`));
    return [...heldImages(await readImages(root, DISK, signal), doomed).keys()];
  };

  it('do not lose what one stands on that was moved to another disk and linked to', async () => {
    await make(at('full.qcow2'));
    await make(at('a.qcow2'), 'full.qcow2');
    await rename(at('a.qcow2'), join(root, 'elsewhere/a.qcow2'));
    await symlink(join(root, 'elsewhere/a.qcow2'), at('a.qcow2'));
    const info = await imageInfo({ type: 'file', path: at('a.qcow2'), format: 'qcow2' }, { signal });
    expect(info.backingName).to.equal('full.qcow2');
    expect(await heldOf('full.qcow2')).to.deep.equal([`${DISK}/full.qcow2`]);
    expect([...wholeImages(await readImages(root, DISK, signal))]).to.have.members([
      `${DISK}/a.qcow2`,
      `${DISK}/full.qcow2`,
    ]);
    await make(at('b.qcow2'), 'a.qcow2');
    expect(await heldOf('a.qcow2', 'full.qcow2')).to.have.members([`${DISK}/a.qcow2`, `${DISK}/full.qcow2`]);
  });

  it('are not known to stand on nothing where a link to one leads nowhere now; one to a directory is none', async () => {
    await symlink('gone.qcow2', at('x.qcow2'));
    await symlink('y.qcow2', at('y.qcow2'));
    await symlink('/', at('z.qcow2'));
    const found = (await readImages(root, DISK, signal)).map(({ path, below }) => [path, below[0]?.state]);
    expect(found).to.deep.equal([
      [`${DISK}/x.qcow2`, 'unknown'],
      [`${DISK}/y.qcow2`, 'unknown'],
    ]);
  });

  it('come back from quarantine themselves, and not what was later set aside under their name and is no image', async () => {
    for (const day of ['2026-01-01', '2026-01-02'])
      await mkdir(join(root, '.quarantine', day, DISK), { recursive: true });
    const good = join(root, '.quarantine/2026-01-01', DISK, 'a.qcow2');
    const bad = join(root, '.quarantine/2026-01-02', DISK, 'a.qcow2');
    await make(good);
    await writeFile(bad, 'no image');
    expect(await bringBackImage(root, `${DISK}/a.qcow2`, signal)).to.deep.equal([`${DISK}/a.qcow2`]);
    const [back] = await readImages(root, DISK, signal);
    expect(back?.qcow2).to.equal(true);
  });
});

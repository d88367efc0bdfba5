import { expect } from 'chai';
import {
  assertFootingKnown,
  assertNothingStandsOn,
  type Below,
  heldImages,
  type ImageOnDisk,
  topsFirst,
  wholeImages,
} from '../../../../src/services/repository/standing/index.js';
import type { DirectoryFacts } from '../../../../src/services/reconcile/facts.js';
import { DIRECTORY, facts, file, lines, manifest, withBackups } from './facts.js';

const ROOT = '/repo';

/** An image of the disk's directory; `below` is the name of its backing file there. */
function image(name: string, below?: string | Below, over: Partial<ImageOnDisk> = {}): ImageOnDisk {
  const path = over.path ?? `${DIRECTORY}/${name}.qcow2`;
  const what: Below =
    below === undefined
      ? { state: 'nothing' }
      : typeof below === 'string'
        ? { state: 'file', realPath: `${ROOT}/${DIRECTORY}/${below}.qcow2` }
        : below;
  const realPath = `${ROOT}/${path}`;
  return { path, origin: path, realPath, file: path, qcow2: true, below: [what], ...over };
}

function quarantined(name: string, below?: string | Below) {
  const path = `.quarantine/2026-01-01/${DIRECTORY}/${name}.qcow2`;
  return { ...image(name, below, { path, origin: `${DIRECTORY}/${name}.qcow2` }), reason: 'unknown_file' };
}

const missing = (name: string): Below => ({ state: 'missing', path: `${DIRECTORY}/${name}.qcow2` });
const doomed = (...names: string[]) => new Set(names.map((name) => `${DIRECTORY}/${name}.qcow2`));
const held = (images: ImageOnDisk[], ...names: string[]) =>
  [...heldImages(images, doomed(...names)).keys()].map((path) => path.slice(DIRECTORY.length + 1, -6)).sort();

describe('The rule of what stands on what', () => {
  const chain = [image('full'), image('a', 'full'), image('b', 'a'), image('c', 'b')];

  it('lets no image go on which an image that stays stands, all the way down', () => {
    expect(held(chain, 'full', 'a', 'b')).to.deep.equal(['a', 'b', 'full']);
    expect(held(chain, 'full')).to.deep.equal(['full']);
    expect(held(chain, 'b', 'c')).to.deep.equal([]);
    expect(held(chain, 'full', 'a', 'b', 'c')).to.deep.equal([]);
  });

  it('lets nothing go beside an image that stays and of which nobody knows what it stands on', () => {
    const unknown: Below = { state: 'unknown', reason: 'it cannot be read' };
    const images = [image('full'), image('a', unknown)];
    const paths = (...names: string[]) => [...doomed(...names)];
    expect(() => assertFootingKnown(images, paths('full'))).to.throw(/it cannot be read/);
    expect(() => assertFootingKnown(images, paths('a'))).not.to.throw();
    expect(() => assertFootingKnown(chain, paths('full'))).not.to.throw();
  });

  it('comes to an end where references go round', () => {
    const ring = [image('a', 'b'), image('b', 'a'), image('top', 'a')];
    expect(held(ring, 'a', 'b')).to.deep.equal(['a', 'b']);
    expect(held(ring.slice(0, 2), 'a', 'b')).to.deep.equal([]);
    expect([...wholeImages(ring)]).to.deep.equal([]);
    expect(topsFirst(ring)).to.have.length(3);
  });

  it('counts an image in quarantine for the name that it had, where nothing else has that name', () => {
    const images = [image('b', missing('a')), quarantined('a', 'full'), image('full')];
    expect(
      [...heldImages(images, new Set(images.slice(1).map(({ path }) => path))).keys()].sort(),
    ).to.deep.equal([`.quarantine/2026-01-01/${DIRECTORY}/a.qcow2`, `${DIRECTORY}/full.qcow2`]);
    expect(wholeImages(images).has(`${DIRECTORY}/b.qcow2`)).to.equal(true);
  });

  it('stops a removal with the names of both', () => {
    expect(() => assertNothingStandsOn(chain, [`${DIRECTORY}/b.qcow2`])).to.throw(
      /b\.qcow2 is not removed: .*c\.qcow2 still refers/,
    );
    assertNothingStandsOn(chain, [`${DIRECTORY}/c.qcow2`]);
  });

  it('calls whole what leads to an image without a backing file, and nothing else', () => {
    const more = [...chain, image('x', missing('gone')), image('y', 'x'), image('z', { state: 'elsewhere' })];
    expect([...wholeImages(more)].map((path) => path.slice(DIRECTORY.length + 1, -6)).sort()).to.deep.equal([
      'a',
      'b',
      'c',
      'full',
    ]);
  });

  it('puts each image before what it stands on, in a chain of 20,000 too', () => {
    const long = Array.from({ length: 20_000 }, (_, i) => image(`i${i}`, i === 0 ? undefined : `i${i - 1}`));
    const order = topsFirst(long).map(({ path }) => path);
    expect(order[0]).to.contain('i19999.');
    expect(order.at(-1)).to.contain('/i0.');
    expect(wholeImages(long).size).to.equal(20_000);
  });
});

describe('The plan of a reconciliation: what qemu-img restores', () => {
  const unknown = (...names: string[]) => names.map((name) => file(`${name}.qcow2`));
  const planned = (over: Partial<DirectoryFacts>) => lines(facts(1, over));
  const known = image('b1');

  it('moves no unknown image that is whole, whatever its manifest says', () => {
    const images = [known, image('x', 'b1'), image('y', 'x'), image('z', 'y')];
    expect(
      planned({
        images,
        unknown: [
          ...unknown('x', 'y', 'z'),
          manifest('y', 'unknown', { belongs: false }),
          file('z.json', { manifest: { state: 'invalid' } }),
        ],
      }),
    ).to.deep.equal([
      'leave restorable x.qcow2',
      'leave restorable y.qcow2 (bkp_y)',
      'leave restorable y.json (bkp_y)',
      'leave restorable z.qcow2',
      'leave restorable z.json',
    ]);
  });

  it('sets aside an image whose backing file is gone', () => {
    expect(planned({ images: [image('x', missing('gone'))], unknown: unknown('x') })).to.deep.equal([
      'quarantine unknown_file x.qcow2',
    ]);
  });

  it('keeps what an ended job has left while an image that stays stands on it', () => {
    const ended = [file('x.qcow2'), manifest('x', 'failed')];
    const images = [known, image('x', 'b1'), image('y', 'x')];
    const journalled = ended.map((one) =>
      one.manifest.state === 'valid' ? { ...one, manifest: { ...one.manifest, journalled: true } } : one,
    );
    expect(planned({ images, unknown: [...journalled, ...unknown('y')] }).slice(0, 2)).to.deep.equal([
      'leave needed x.qcow2 (bkp_x)',
      'leave needed x.json (bkp_x)',
    ]);
    expect(planned({ images: images.slice(0, 2), unknown: journalled })).to.deep.equal([
      'quarantine of_ended_job x.qcow2 (bkp_x)',
      'quarantine of_ended_job x.json (bkp_x)',
    ]);
  });

  it('moves no image where the header of another cannot be read', () => {
    const images = [image('x', missing('gone')), image('y', { state: 'unknown', reason: 'EIO' })];
    expect(planned({ images, unknown: unknown('x', 'y') })).to.deep.equal([
      'leave header_unreadable x.qcow2',
      'leave header_unreadable y.qcow2',
    ]);
  });

  it('keeps an image on which an image of another disk stands', () => {
    const images = [image('x', missing('gone')), image('far', 'x', { path: 'vm/disk-1/far.qcow2' })];
    expect(planned({ images, unknown: unknown('x') })).to.deep.equal(['leave needed x.qcow2']);
  });

  it('moves images before those that they stand on', () => {
    const images = [image('a', missing('gone')), image('b', 'a'), image('c', 'b')];
    expect(planned({ images, unknown: unknown('a', 'b', 'c') })).to.deep.equal([
      'quarantine unknown_file c.qcow2',
      'quarantine unknown_file b.qcow2',
      'quarantine unknown_file a.qcow2',
    ]);
  });

  it('brings back from quarantine what an image here stands on, all the way down, unless it has to guess', () => {
    const images = [known, image('z', missing('y'))];
    const aside = [quarantined('y', missing('x')), quarantined('x', 'b1')];
    expect(planned({ images, quarantined: aside, unknown: unknown('z') })).to.deep.equal([
      'leave restorable z.qcow2',
      'bring_back restorable_in_quarantine y.qcow2',
      'bring_back restorable_in_quarantine x.qcow2',
    ]);
    const two = [...aside, { ...quarantined('y', missing('x')), file: 'another' }];
    expect(planned({ images, quarantined: two, unknown: unknown('z') })[1]).to.equal(
      'leave several_in_quarantine y.qcow2',
    );
    const ended = aside.map((image) => ({ ...image, reason: 'of_ended_job' }));
    expect(planned({ images, quarantined: ended, unknown: unknown('z') })).to.deep.equal([
      'leave restorable z.qcow2',
      'bring_back stands_in_quarantine y.qcow2',
      'bring_back stands_in_quarantine x.qcow2',
    ]);
    expect(planned({ images: [known], quarantined: ended })).to.deep.equal([]);
    expect(
      planned({ images: [known, image('x', 'b1')], quarantined: aside.slice(1), unknown: unknown('x') }),
    ).to.deep.equal(['leave restorable x.qcow2']);
    const healed = [{ ...quarantined('y', missing('x')), reason: 'healed' }];
    expect(planned({ images, quarantined: healed, unknown: unknown('z') })).to.deep.equal([
      'quarantine unknown_file z.qcow2',
    ]);
  });
});

describe('The plan of a reconciliation: manifests', () => {
  const states = ['missing', 'invalid', 'foreign', 'older'] as const;

  it('writes a manifest anew that is lost, cut, foreign or older than its image', () => {
    for (const [index, state] of states.entries()) {
      const reason = ['manifest_lost', 'manifest_unusable', 'manifest_of_another', 'manifest_older'][index];
      expect(lines(withBackups(facts(1), { 1: { manifest: state } }))).to.deep.equal([
        `write_manifest ${reason} b1.json (b1)`,
      ]);
    }
  });

  it('writes none beside an image that is damaged, gone, or not what the catalogue says', () => {
    for (const over of [{ health: 'damaged' as const }, { standsAsRecorded: false }])
      expect(lines(withBackups(facts(1), { 1: { manifest: 'missing', ...over } }))).to.deep.equal([]);
    expect(lines(withBackups(facts(1), { 1: { manifest: 'missing', image: 'missing' } }))).to.deep.equal([
      'mark_damaged image_missing b1.qcow2 (b1)',
    ]);
  });

  it('does not put away the only manifest of an image that the catalogue lacks', () => {
    expect(lines(withBackups(facts(1), { 1: { manifest: 'of_unknown' } }))).to.deep.equal([
      'leave manifest_of_other b1.json (b1)',
    ]);
    const lone = manifest('elsewhere', 'unknown', { belongs: false });
    const fact = lone.manifest.state === 'valid' ? { ...lone.manifest, speaksOfOther: true } : lone.manifest;
    expect(lines(facts(1, { unknown: [{ ...lone, manifest: fact }] }))).to.deep.equal([
      'leave manifest_of_other elsewhere.json (bkp_elsewhere)',
    ]);
  });
});

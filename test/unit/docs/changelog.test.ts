import { readFile } from 'node:fs/promises';
import { expect } from 'chai';

const LONGEST_ENTRY = 200;
const KINDS = ['Added', 'Changed', 'Fixed'];

const changelog = () => readFile('CHANGELOG.md', 'utf8');

describe('The changelog', () => {
  it('has what is unreleased first, then each release with its date, the newest first', async () => {
    const headings = (await changelog()).split('\n').filter((line) => line.startsWith('## '));
    expect(headings[0]).to.equal('## [Unreleased]');
    const releases = headings
      .slice(1)
      .map((line) => /^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$/.exec(line));
    expect(releases.map((match) => match?.[1])).to.include('0.1.0');
    const dates = releases.map((match) => match?.[2] ?? '');
    expect(dates).to.deep.equal(dates.toSorted().toReversed());
  });

  it('lists the released version of package.json', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
    expect(await changelog()).to.match(new RegExp(`^## \\[${version}\\] - `, 'm'));
  });

  it('groups the entries under Added, Changed and Fixed, in this order and each with an entry', async () => {
    for (const release of (await changelog()).split(/^## /m).slice(1)) {
      const kinds = [...release.matchAll(/^### (.+)\n(.*)/gm)];
      const names = kinds.map(([, name = '']) => name);
      expect(names).to.deep.equal(KINDS.filter((kind) => names.includes(kind)));
      expect(kinds.filter(([, , next = '']) => !next.startsWith('- '))).to.deep.equal([]);
    }
  });

  it(`says each entry in one line of at most ${LONGEST_ENTRY} characters, and none twice`, async () => {
    const [, ...below] = (await changelog()).split(/^## /m);
    const lines = below.flatMap((release) => release.split('\n').slice(1)).filter((line) => line !== '');
    const entries = lines.filter((line) => !line.startsWith('### '));
    expect(entries.filter((line) => !/^- \S.*\.$/.test(line))).to.deep.equal([]);
    expect(entries.filter((line) => line.length > LONGEST_ENTRY)).to.deep.equal([]);
    expect(new Set(entries).size).to.equal(entries.length);
  });
});

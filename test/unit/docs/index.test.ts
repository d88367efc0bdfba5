import { access, readdir, readFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { expect } from 'chai';
import { linksIn } from './tables.js';

async function markdownBelow(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name))
    .toSorted();
}

/** The files that a document links to, from the root of the repository. */
async function linked(document: string): Promise<string[]> {
  return linksIn(await readFile(document, 'utf8')).map((link) => normalize(join(dirname(document), link)));
}

const isDecision = (file: string) => file.startsWith('docs/decisions/');

describe('The documents', () => {
  it('are all linked by README.md, and the decisions by their folder', async () => {
    const links = await linked('README.md');
    const documents = [...(await markdownBelow('docs')), ...(await markdownBelow('examples'))];
    expect(documents.filter((file) => !isDecision(file) && !links.includes(file))).to.deep.equal([]);
    expect(links).to.include('docs/decisions/');
  });

  it('and every decision are listed by docs/README.md once, decisions in their order', async () => {
    const links = await linked('docs/README.md');
    const documents = [...(await markdownBelow('docs')), ...(await markdownBelow('examples'))];
    expect(links.toSorted()).to.deep.equal(documents.filter((file) => file !== 'docs/README.md').toSorted());
    const decisions = links.filter(isDecision);
    expect(decisions).to.deep.equal(decisions.toSorted());
  });

  it('call each decision by the title that it has', async () => {
    const index = await readFile('docs/README.md', 'utf8');
    for (const file of (await markdownBelow('docs')).filter(isDecision)) {
      const [heading = ''] = (await readFile(file, 'utf8')).split('\n');
      const [, number, title] = /^# (\d+)\. (.+)$/.exec(heading) ?? [];
      expect(file).to.include(`/${String(number).padStart(4, '0')}-`);
      expect(index).to.include(`| [${number}](${file.replace('docs/', '')}) | ${title} |`);
    }
  });

  it('link to nothing that is not there', async () => {
    const documents = [
      'README.md',
      'CHANGELOG.md',
      ...(await markdownBelow('docs')),
      ...(await markdownBelow('examples')),
    ];
    const dead: string[] = [];
    for (const document of documents)
      for (const link of await linked(document))
        await access(link).catch(() => dead.push(`${document}: ${link}`));
    expect(dead).to.deep.equal([]);
  });
});

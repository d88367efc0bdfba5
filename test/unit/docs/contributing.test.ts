import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { nameIn, tableBelow } from './tables.js';

/** The source files, and what each says without its comments. */
async function sources(): Promise<Map<string, string>> {
  const names = (await readdir('src', { recursive: true })).filter((name) => name.endsWith('.ts'));
  const texts = names.map(async (name): Promise<[string, string]> => {
    const text = await readFile(join('src', name), 'utf8');
    return [join('src', name), text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')];
  });
  return new Map(await Promise.all(texts));
}

async function filesThat(say: (text: string, file: string) => boolean): Promise<string[]> {
  return [...(await sources())].filter(([file, text]) => say(text, file)).map(([file]) => file);
}

async function listed(heading: string): Promise<string[]> {
  const [, ...rows] = tableBelow(await readFile('docs/contributing.md', 'utf8'), heading);
  return rows.map(([file = '']) => nameIn(file)).toSorted();
}

/** One name for a thing's own file, whichever of the things it is. */
const folded = (files: string[], own: RegExp, name: string) =>
  [...new Set(files.map((file) => (own.test(file) ? name : file)))].toSorted();

describe('The lists of files for a change', () => {
  it('have the files that name one kind of job, eight at most', async () => {
    // That the keeper asks for it by itself is this kind's own; the room of a verb is one entry.
    const named = await filesThat(
      (text, file) => /synthetic_?full/i.test(text) && !file.startsWith('src/producers/keeper/'),
    );
    const expected = folded(named, /^src\/services\/consolidation\//, 'src/services/consolidation');
    expect(await listed('### A new kind of job')).to.deep.equal(expected);
    expect(expected.length).to.be.at.most(8);
  });

  it('have the files that tell two kinds of sources or more apart, six at most', async () => {
    const kinds = ['file', 'nbd', 'push'];
    // As a value, or as the key of a record. Images of the tools have kinds of their own; the demonstration is not part of the product.
    const names = (text: string) =>
      kinds.filter((kind) => new RegExp(`'${kind}'|^  ${kind}: (\\{|open)`, 'm').test(text));
    const others = /^src\/(qcow2|main\/demo|services\/(restore|repository))\//;
    const files = await filesThat((text, file) => !others.test(file) && names(text).length > 1);
    const own = 'src/datapath/sources/<kind>Source.ts';
    const expected = folded(files, /^src\/datapath\/sources\/(file|nbd)Source\.ts$/, own);
    expect(await listed('### A new kind of source')).to.deep.equal(expected);
    expect(expected.length).to.be.at.most(6);
  });

  it('have the files that name one column of an answer, six at most', async () => {
    // The routes call the groups of the API's document `tags`, too.
    const expected = await filesThat((text, file) => /\btags\b/.test(text) && !/\/routes\//.test(file));
    expect(await listed('### A new column in an answer')).to.deep.equal(expected.toSorted());
    expect(expected.length).to.be.at.most(6);
  });
});

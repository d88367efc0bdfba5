import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { expect } from 'chai';
import { nameIn, tableBelow } from './tables.js';

const TABLES = {
  src: '| folder of `src`',
  'src/services': '### Rooms of `src/services`',
  'src/db': '### Folders of `src/db`',
  'src/producers': '### Folders of `src/producers`',
};
const WORDS = 'layer base top run carrier expired suspect located reach fence delivery head'.split(' ');

interface Side {
  path?: string | string[];
  pathNot?: string | string[];
}
interface Rule {
  from: Side;
  to: Side & Record<string, unknown>;
}

const architecture = () => readFile('docs/architecture.md', 'utf8');

async function rowsOf(heading: string): Promise<{ name: string; mayImport: string }[]> {
  const [, ...rows] = tableBelow(await architecture(), heading);
  return rows.map((cells) => ({ name: nameIn(cells[0] ?? ''), mayImport: cells.at(-1) ?? '' }));
}

async function foldersOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

const matches = (patterns: string | string[] | undefined, path: string): boolean | undefined =>
  patterns === undefined ? undefined : [patterns].flat().some((pattern) => new RegExp(pattern).test(path));

/** Whether a rule that looks at paths alone forbids the import; no file that the rules name is asked about. */
function forbids({ from, to }: Rule, importer: string, imported: string): boolean {
  const others = Object.keys(to).filter((key) => key !== 'path' && key !== 'pathNot');
  if (others.length > 0) return false;
  const concerns = ({ path, pathNot }: Side, file: string) =>
    (matches(path, file) ?? true) && !(matches(pathNot, file) ?? false);
  return concerns(from, importer) && concerns(to, imported);
}

function rules(): Rule[] {
  const require = createRequire(import.meta.url);
  return (require(`${process.cwd()}/.dependency-cruiser.cjs`) as { forbidden: Rule[] }).forbidden;
}

describe('The document of the architecture', () => {
  it('begins with the twelve words of the house', async () => {
    const text = await architecture();
    expect(text).to.match(/^# Architecture\n\n## Twelve words\n/);
    const [, ...rows] = tableBelow(text, '## Twelve words');
    expect(rows.map(([word]) => word)).to.deep.equal(WORDS);
  });

  for (const [folder, heading] of Object.entries(TABLES))
    it(`has a row for each folder of ${folder}, and no other`, async () => {
      const names = (await rowsOf(heading)).map(({ name }) => name);
      expect(names.toSorted()).to.deep.equal((await foldersOf(folder)).toSorted());
    });

  it('says of each folder of src what the import rules allow', async () => {
    const forbidden = rules();
    const folders = await foldersOf('src');
    for (const { name, mayImport } of await rowsOf(TABLES.src)) {
      const others = folders.filter((other) => other !== name && other !== 'main');
      const allowed = others.filter(
        (other) => !forbidden.some((rule) => forbids(rule, `src/${name}/any.ts`, `src/${other}/any.ts`)),
      );
      const said =
        mayImport === 'everything' ? others : mayImport.split(', ').filter((other) => other !== 'nothing');
      expect(said.toSorted(), name).to.deep.equal(allowed.toSorted());
    }
  });

  it('says of each room of src/services what the import rules allow', async () => {
    const rows = await rowsOf(TABLES['src/services']);
    const rooms = rows.map(({ name }) => name);
    for (const { name, mayImport } of rows) {
      const allowed = rooms.filter(
        (other) =>
          other !== name &&
          !rules().some((rule) =>
            forbids(rule, `src/services/${name}/any.ts`, `src/services/${other}/any.ts`),
          ),
      );
      const said = mayImport.split(', ').filter((other) => other !== 'nothing');
      expect(said.toSorted(), name).to.deep.equal(allowed.toSorted());
    }
  });
});

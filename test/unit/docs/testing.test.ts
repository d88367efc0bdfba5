import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';

/** What tests, their helpers and scripts/test.sh tell the processes that they start themselves. */
const BETWEEN_PROCESSES = /^STRATA_(TEST_(KILL_.*|RUN|TOTALS|CLOCKS)|SECRET_OF_TEST)$/;
/** Settings of the product that tests set or look at, and set-up heeds. */
const OF_THE_PRODUCT = /^STRATA_(DATA_DIR|REDIS_URL|DATABASE_URL)$/;

/** Variables that the tests read, with the compiled files that do. */
async function readByTests(): Promise<Map<string, string[]>> {
  const readers = new Map<string, string[]>();
  const files = (await readdir('test', { recursive: true })).filter((name) => name.endsWith('.ts'));
  for (const file of files) {
    const text = await readFile(join('test', file), 'utf8');
    for (const [, name = ''] of text.matchAll(/process\.env(?:\.|\[')(STRATA_[A-Z_]+)/g)) {
      if (BETWEEN_PROCESSES.test(name) || OF_THE_PRODUCT.test(name)) continue;
      readers.set(name, [...(readers.get(name) ?? []), `dist/test/${file.replace(/\.ts$/, '.js')}`]);
    }
  }
  return readers;
}

const namesIn = (text: string, pattern: RegExp): string[] => [
  ...new Set([...text.matchAll(pattern)].map(([, name = '']) => name)),
];

describe('The variables of the tests', () => {
  it('are all in docs/testing.md, and nothing else is', async () => {
    const ofScripts = await Promise.all(
      ['test', 'setup'].map((name) => readFile(`scripts/${name}.sh`, 'utf8')),
    );
    const read = [
      ...(await readByTests()).keys(),
      ...namesIn(ofScripts.join('\n'), /\$\{(STRATA_[A-Z_]+):-/g),
    ];
    const rows = (await readFile('docs/testing.md', 'utf8'))
      .split('\n')
      .filter((line) => line.startsWith('| `'));
    const said = namesIn(rows.map((row) => row.split(' | ')[0]).join('\n'), /`(STRATA_[A-Z_]+)`/g);
    const ofTests = read.filter((name) => !OF_THE_PRODUCT.test(name));
    expect(said.toSorted()).to.deep.equal([...new Set(ofTests)].toSorted());
  });

  it('that scripts/soak.sh sets are read, and every test that reads one is run by it', async () => {
    const soak = await readFile('scripts/soak.sh', 'utf8');
    const set = namesIn(soak, /(STRATA_[A-Z_]+)=/g).filter((name) => name !== 'STRATA_TEST_DEADLINE_SECONDS');
    const readers = await readByTests();
    expect(set.filter((name) => !readers.has(name))).to.deep.equal([]);
    const tests = set.flatMap((name) => readers.get(name) ?? []).filter((file) => file.endsWith('.test.js'));
    const isRun = (file: string) => file.startsWith('dist/test/crash/') || soak.includes(file);
    expect(tests.filter((file) => !isRun(file))).to.deep.equal([]);
    // Seeds of single draws are given by who looks for a failure.
    const rest = [...readers.keys()].filter((name) => !set.includes(name) && !/_TEST_|_SEED$/.test(name));
    expect(rest).to.deep.equal(['STRATA_UPDATE_GOLDEN']);
  });
});

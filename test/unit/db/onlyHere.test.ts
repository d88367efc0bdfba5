import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';

/** Where SQL is written, and where the server is set up: its users, its databases, its migrations. */
const ALLOWED = ['db/', 'entities/', 'main/embedded/', 'main/control/'];

/** Statements, and the ways in which TypeORM asks. */
const SQL = /\b(?:SELECT|INSERT (?:IGNORE )?INTO|REPLACE INTO|UPDATE|DELETE FROM)\b/;
const TYPEORM =
  /\.query\s*[<(]|\.getRepository\s*[<(]|\bcreateQueryBuilder\b|\.manager\b|\btx\.(?:insert|update|delete|upsert|save|find\w*|count\w*)\s*[<(]/;

describe('SQL', () => {
  const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.ts'),
  );
  const elsewhere = sources.filter((path) => !ALLOWED.some((folder) => path.startsWith(folder)));

  it('stands in src/db only: a statement that is not found there is not changed with the others', () => {
    expect(elsewhere.length).to.be.above(300);
    const found = elsewhere.flatMap((path) => {
      const lines = withoutComments(readFileSync(join('src', path), 'utf8')).split('\n');
      return lines.flatMap((line, index) =>
        SQL.test(line) || TYPEORM.test(line) ? [`${path}:${index + 1} ${line.trim()}`] : [],
      );
    });
    expect(found).to.deep.equal([]);
  });

  it('would be found: the same look at src/db finds it', () => {
    const db = sources.filter((path) => path.startsWith('db/'));
    const files = db.filter((path) => SQL.test(withoutComments(readFileSync(join('src', path), 'utf8'))));
    expect(files.length).to.be.above(30);
  });

  it('takes the open states from one list', () => {
    const spelled = sources.filter((path) =>
      /'queued',\s*'released',\s*'running'/.test(readFileSync(join('src', path), 'utf8')),
    );
    expect(spelled).to.deep.equal([join('shared', 'jobs.ts')]);
  });
});

function withoutComments(text: string): string {
  return text
    .replaceAll(/\/\*[\s\S]*?\*\//g, (comment) => comment.replaceAll(/[^\n]/g, ''))
    .replaceAll(/(?<=^|\s)\/\/.*$/gm, '');
}

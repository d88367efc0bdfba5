import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';

const ROOT = join(process.cwd(), 'src/producers');
/** Its own form on a queue, which is no part of the HTTP API. */
const EXCEPT = ['intake/payload.ts'];

/** Exported interfaces and object types of a source, each as its text. */
function exportedTypes(source: string): string[] {
  return source.match(/^export (interface|type) \w+[^\n]*\{\n(?: .*\n|\n)*?\}/gm) ?? [];
}

describe('Names with underscores, the names of the HTTP API', () => {
  it('are declared by the contract and made by views: no exported type of the producers declares one by hand', async () => {
    const names = (await readdir(ROOT, { recursive: true })).filter((name) => name.endsWith('.ts'));
    expect(names.length).to.be.greaterThan(50);
    const found: string[] = [];
    for (const name of names) {
      if (name.startsWith('http/views/') || EXCEPT.includes(name)) continue;
      for (const text of exportedTypes(await readFile(join(ROOT, name), 'utf8'))) {
        const wire = /^\s+[a-z]+(_[a-z0-9]+)+\??:/m.exec(text)?.[0];
        if (wire !== undefined) found.push(`${name}: ${text.split('\n')[0]} has ${wire.trim()}`);
      }
    }
    expect(found).to.deep.equal([]);
  });

  it('would be found where a type declares one', () => {
    const twin = 'export interface Answer {\n  ok: boolean;\n  job_id: string;\n}\n';
    expect(exportedTypes(twin)).to.have.length(1);
    expect(exportedTypes(twin)[0]).to.match(/^\s+job_id:/m);
  });
});

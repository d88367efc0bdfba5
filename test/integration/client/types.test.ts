import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';

const REPOSITORY = process.cwd();

/** What a user may get wrong, each with the word that the compiler names. */
const WRONG: Record<string, { code: string; word: string }> = {
  'a field that the body does not have': {
    code: `await client.backups.create({ vm_name: 'a', repository_id: 'r', backup_type: 'full', verfy: 'after' });`,
    word: 'verfy',
  },
  'a word that is none of those allowed': {
    code: `await client.backups.create({ vm_name: 'a', repository_id: 'r', backup_type: 'incr' });`,
    word: '"incr"',
  },
  'a body without a field that is needed': {
    code: `await client.backups.create({ vm_name: 'a', backup_type: 'full' });`,
    word: 'repository_id',
  },
  'a field that the answer does not have': {
    code: `console.log((await client.vms.get('v')).vmName);`,
    word: 'vmName',
  },
  'a null that is not looked for': {
    code: `const size: number = (await client.backups.get('bkp_1')).size_bytes; console.log(size);`,
    word: 'null',
  },
  'a call that there is not': { code: `await client.backups.delete('bkp_1');`, word: 'delete' },
  'an error code that there is not': {
    code: `isStrataError(new Error('x'), 'no_such_code');`,
    word: 'no_such_code',
  },
};

/** What a compiler of its own prints about the TypeScript files of a directory; nothing where all is well. */
function compile(directory: string): Promise<string> {
  const tsc = join(REPOSITORY, 'node_modules/.bin/tsc');
  return new Promise((resolve) => {
    execFile(tsc, ['-p', directory], { cwd: directory, timeout: 60_000 }, (error, stdout, stderr) =>
      resolve(error ? `${stdout}${stderr}` || error.message : ''),
    );
  });
}

/**
 * A program outside of the repository, with the DOM's declarations of fetch and no package of types.
 * @param thorough the declarations of all packages are checked, too, which takes ten times as long
 */
async function writeProgram(
  directory: string,
  files: Record<string, string>,
  { thorough = false } = {},
): Promise<void> {
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2023',
    lib: ['es2023', 'dom'],
    types: [],
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: !thorough,
    noEmit: true,
  };
  await writeFile(join(directory, 'package.json'), '{ "type": "module" }');
  await writeFile(
    join(directory, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, files: ['env.d.ts', ...Object.keys(files)] }),
  );
  await writeFile(
    join(directory, 'env.d.ts'),
    'declare const process: { env: Record<string, string | undefined> };',
  );
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
}

/** The package without what only its developers install: package.json, declarations, and the dependency that they name. */
async function installForUsers(directory: string): Promise<void> {
  const strata = join(directory, 'node_modules/strata');
  await mkdir(strata, { recursive: true });
  await cp(join(REPOSITORY, 'package.json'), join(strata, 'package.json'));
  for (const folder of ['client', 'client/calls', 'contract', 'shared']) {
    const from = join(REPOSITORY, 'dist/src', folder);
    const to = join(strata, 'dist/src', folder);
    await mkdir(to, { recursive: true });
    for (const name of await readdir(from))
      if (name.endsWith('.d.ts')) await cp(join(from, name), join(to, name));
  }
  await symlink(join(REPOSITORY, 'node_modules/typebox'), join(directory, 'node_modules/typebox'));
}

async function exampleOf(page: string): Promise<string> {
  const [, example] = /```ts\n(.*?)```/s.exec(await readFile(join(REPOSITORY, page), 'utf8')) ?? [];
  if (example === undefined) throw new Error(`${page} has no example.`);
  return example;
}

describe('the types of strata/client, in a program outside of the repository', () => {
  let directory = '';

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'strata-types-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('let the example of docs/client.md compile under strict, without any package that only developers install', async () => {
    await installForUsers(directory);
    const files = { 'example.ts': await exampleOf('docs/client.md') };
    await writeProgram(directory, files, { thorough: true });
    expect(await compile(directory)).to.equal('');
  });

  it('are found through a link to the clone, as `npm install DIRECTORY` makes it', async () => {
    await mkdir(join(directory, 'node_modules'));
    await symlink(REPOSITORY, join(directory, 'node_modules/strata'));
    await writeProgram(directory, { 'example.ts': await exampleOf('docs/client.md') });
    expect(await compile(directory)).to.equal('');
  });

  it('make each wrong use an error of the compiler, which names what is wrong', async () => {
    await installForUsers(directory);
    const head = `import { createClient, isStrataError } from 'strata/client';
const client = createClient({ baseUrl: 'http://127.0.0.1:7420' });
void client, isStrataError;
`;
    const uses = Object.entries(WRONG);
    const files = uses.map(([, { code }], index) => [`wrong${index}.ts`, `${head}${code}\nexport {};\n`]);
    await writeProgram(directory, Object.fromEntries(files) as Record<string, string>);
    const printed = await compile(directory);
    const errors = printed.split(/\n(?=\S)/);
    uses.forEach(([what, { word }], index) => {
      const own = errors.filter((line) => line.startsWith(`wrong${index}.ts(4,`));
      expect(own, `${what}: ${printed}`).to.have.length(1);
      expect(own[0], what).to.contain(word);
    });
    expect(
      errors.filter((line) => line.includes('error TS')),
      printed,
    ).to.have.length(uses.length);
  });
});

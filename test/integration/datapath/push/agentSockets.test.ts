import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { newSocketPath, removeDeadSockets } from '../../../../src/datapath/index.js';
import { codeOf } from '../../../helpers/codeOf.js';

describe('The sockets of exports', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sockets-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('are removed when a worker was killed with them, and only then, and nothing else is', async () => {
    const [dead, live] = [newSocketPath(folder), newSocketPath(folder)];
    const script = `require('node:net').createServer().listen(${JSON.stringify(dead)}, () => console.log('up'))`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const server = createServer().listen(live);
    await once(server, 'listening');
    await writeFile(join(folder, 'agents.txt'), '');
    await writeFile(join(folder, 'other.sock'), '');
    try {
      await removeDeadSockets(folder);
      const left = (await readdir(folder)).map((name) => join(folder, name));
      expect(left).to.have.members([live, join(folder, 'agents.txt'), join(folder, 'other.sock')]);
    } finally {
      server.close();
    }
  });

  it('want a directory that is there', async () => {
    expect(await codeOf(removeDeadSockets(join(folder, 'missing')))).to.equal('invalid_configuration');
  });
});

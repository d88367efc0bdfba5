#!/usr/bin/env node
// Backs up one disk of a running QEMU (qemu-system-*, qemu-storage-daemon) into Strata, while the guest writes: the first
// time a full, then what QEMU's dirty bitmap says has changed. See README.md.
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { nameAfter, ownBitmaps, settleBitmaps } from './bitmaps.mjs';
import { connectQmp } from './qmp.mjs';
import { backUp, latestChangeId } from './strata.mjs';

const run = promisify(execFile);
const EXPORTS = 'strata-fleece-';
const NODE = 'strata-fleece';
const JOB = 'strata-fleece';

const { values: options } = parseArgs({
  options: {
    qmp: { type: 'string' },
    node: { type: 'string' },
    vm: { type: 'string' },
    disk: { type: 'string', default: '0' },
    repository: { type: 'string', default: 'main' },
    /** The unix socket of QEMU's NBD server; Strata's workers must be allowed to read it (STRATA_NBD_ALLOW). */
    nbd: { type: 'string' },
    /** A directory for what the guest overwrites while the backup runs. */
    scratch: { type: 'string' },
    /** Also keeps the instant that is backed up as a raw image: how the test proves the result. */
    'save-instant': { type: 'string' },
  },
});
for (const name of ['qmp', 'node', 'vm', 'nbd', 'scratch']) {
  if (options[name] === undefined) throw new Error(`--${name} is needed.`);
}

const disk = { vm: options.vm, repository: options.repository, disk: Number(options.disk) };
const fleece = join(options.scratch, `${options.node}.fleece.qcow2`);
const qmp = await connectQmp(options.qmp);
try {
  await dismantle();
  const since = await latestChangeId(disk);
  const base = await settleBitmaps(qmp, options.node, since);
  const next = nameAfter([since, ...(await ownBitmaps(qmp, options.node)).keys()]);
  // A name of its own: a job of Strata's that belongs to a run before must not read this run's instant.
  const id = EXPORTS + next;
  await freeze(base, next, id);
  if (options['save-instant'] !== undefined) {
    await run('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', uri(id), options['save-instant']]);
  }
  const source = { type: 'nbd', uri: uri(id), ...(base ? { bitmap: base } : {}) };
  const about = { source, change_id: next, ...(base ? { since_change_id: base } : {}) };
  const backup = await backUp(disk, base ? 'incremental' : 'full', about);
  await dismantle();
  await settleBitmaps(qmp, options.node, await latestChangeId(disk));
  console.log(JSON.stringify(backup));
  if (backup.status !== 'completed') process.exitCode = 1;
} finally {
  qmp.close();
}

function uri(id) {
  return `nbd+unix:///${id}?socket=${options.nbd}`;
}

/**
 * Holds one instant of the disk still: what the guest overwrites from now on is first copied to the fleecing image, which
 * shows the disk as it was. The change of bitmaps belongs to the same transaction, or changes would be lost between them.
 */
async function freeze(base, next, id) {
  const { node, nbd } = options;
  const nodes = await qmp.run('query-named-block-nodes', { flat: true });
  const size = nodes.find((each) => each['node-name'] === node).image['virtual-size'];
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', fleece, String(size)]);
  const file = { driver: 'file', filename: fleece };
  await qmp.run('blockdev-add', { driver: 'qcow2', 'node-name': NODE, file, backing: node });
  const bitmaps = base ? [{ type: 'block-dirty-bitmap-disable', data: { node, name: base } }] : [];
  await qmp.run('transaction', {
    actions: [
      ...bitmaps,
      { type: 'block-dirty-bitmap-add', data: { node, name: next, granularity: 65536 } },
      { type: 'blockdev-backup', data: { 'job-id': JOB, device: node, target: NODE, sync: 'none' } },
    ],
  });
  await startNbdServer(nbd);
  await qmp.run('block-export-add', {
    type: 'nbd',
    id,
    name: id,
    'node-name': NODE,
    ...(base ? { bitmaps: [{ node, name: base }] } : {}),
  });
}

async function startNbdServer(path) {
  try {
    await qmp.run('nbd-server-start', { addr: { type: 'unix', data: { path } }, 'max-connections': 0 });
  } catch (error) {
    if (!/already running/.test(error.message)) throw error;
  }
}

/** Takes down what `freeze` has put up, in whatever state an earlier run has left it. */
async function dismantle() {
  const ours = async () => (await qmp.run('query-block-exports')).filter(({ id }) => id.startsWith(EXPORTS));
  for (const { id } of await ours()) await qmp.run('block-export-del', { id, mode: 'hard' });
  await until(async () => (await ours()).length === 0);
  const jobs = await qmp.run('query-block-jobs');
  if (jobs.some(({ device }) => device === JOB)) {
    await qmp.run('block-job-cancel', { device: JOB, force: true });
    await until(async () => !(await qmp.run('query-block-jobs')).some(({ device }) => device === JOB));
  }
  const nodes = await qmp.run('query-named-block-nodes', { flat: true });
  if (nodes.some((each) => each['node-name'] === NODE)) await qmp.run('blockdev-del', { 'node-name': NODE });
  await rm(fleece, { force: true });
}

async function until(done) {
  for (let tries = 0; tries < 300; tries++) {
    if (await done()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('QEMU did not finish within 30 s.');
}

#!/usr/bin/env node
// An agent that pushes one disk to Strata with nothing but Node 20 and qemu-img (docs/push.md):
//   STRATA_URL=http://127.0.0.1:7420 STRATA_TOKEN=... node push-agent.mjs BACKUP_ID DISK_ID DISK.raw [CHANGE_ID [CHANGES]]
// CHANGES has a line "offset length" (bytes) for each range that has changed since the backup before; without it, all is written.
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const [backupId, diskId, disk, changeId, changes] = process.argv.slice(2);
const { STRATA_URL = 'http://127.0.0.1:7420', STRATA_TOKEN } = process.env;
if (!backupId || !diskId || !disk || !STRATA_TOKEN) {
  throw new Error('usage: STRATA_TOKEN=... push-agent.mjs BACKUP_ID DISK_ID DISK.raw [CHANGE_ID [CHANGES]]');
}
/** The export that was written is over: the next one wants everything again. */
const BEGIN_ANEW = ['push_attempt_over', 'push_not_open'];
const ASK_AGAIN = ['push_unanswered', 'push_connected'];

async function call(method, path, body) {
  const response = await fetch(`${STRATA_URL}/api/v1/backups/${backupId}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${STRATA_TOKEN}`,
      ...(body ? { 'content-type': 'application/json' } : {}),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const answer = await response.json();
  if (response.ok) return answer;
  throw Object.assign(new Error(`${answer.code}: ${answer.detail}`), { code: answer.code });
}

/** Waits until a worker has opened the export. */
async function opened() {
  for (;;) {
    const backup = await call('GET', '?wait_seconds=20');
    const target = backup.nbd_export;
    if (target && target.tls !== 'none')
      throw new Error('This example has no keys: add a --object tls-creds-... of yours.');
    if (target) return target;
    if (['completed', 'failed', 'cancelled', 'expired'].includes(backup.status)) {
      throw new Error(`The backup is ${backup.status}: ${backup.error?.detail ?? ''}`);
    }
  }
}

/** What to write: the changes, if the export asks for changes and we know them; else the whole disk. */
async function rangesFor(target) {
  const whole = [{ offset: 0, length: (await stat(disk)).size }];
  if (target.since_change_id === null || changes === undefined) return whole;
  const lines = (await readFile(changes, 'utf8')).split('\n').filter((line) => line.trim() !== '');
  return lines.map((line) => {
    const [offset, length] = line.split(/\s+/).map(Number);
    return { offset, length };
  });
}

/** Copies one range by qemu-img: a slice of the disk onto the same slice of the export. */
async function copy(target, { offset, length }) {
  const slice = { driver: 'raw', offset, size: length };
  const server = target.socket
    ? { type: 'unix', path: target.socket }
    : { type: 'inet', host: target.host, port: String(target.port) };
  const from = { ...slice, file: { driver: 'file', filename: disk } };
  const to = { ...slice, file: { driver: 'nbd', server, export: target.export_name } };
  const json = (options) => `json:${JSON.stringify(options)}`;
  await promisify(execFile)('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', json(from), json(to)]);
}

/** Writes the export and completes it. @returns false when it was over before */
async function push(target) {
  const ranges = await rangesFor(target);
  const total = ranges.reduce((sum, { length }) => sum + length, 0);
  const { attempt, backup_type } = target;
  let done = 0;
  try {
    for (const range of ranges) {
      await copy(target, range);
      done += range.length;
      const { cancel_requested } = await call('POST', '/progress', {
        bytes_done: done,
        bytes_total: total,
        attempt,
      });
      if (cancel_requested) throw new Error('The backup was cancelled.');
    }
    const said = { disk_id: Number(diskId), bytes_transferred: total, attempt, backup_type };
    return await complete(changeId === undefined ? said : { ...said, change_id: changeId });
  } catch (error) {
    if (BEGIN_ANEW.includes(error.code)) return false;
    // qemu-img fails when the export goes away, too: only if it is still the same one, the trouble is ours.
    if ((await opened()).attempt !== attempt) return false;
    throw error;
  }
}

async function complete(said) {
  for (;;) {
    try {
      await call('POST', '/complete', said);
      return true;
    } catch (error) {
      if (!ASK_AGAIN.includes(error.code)) throw error;
    }
    await sleep(1000);
  }
}

try {
  while (!(await push(await opened())));
  console.log(`Backup ${backupId}: everything is safe.`);
} catch (error) {
  await call('POST', '/fail', { reason: String(error.message).slice(0, 1000) }).catch(() => undefined);
  throw error;
}

// The four calls to Strata that a backup of a live disk needs. STRATA_URL and STRATA_TOKEN say where and who.

const { STRATA_URL: url = 'http://127.0.0.1:7420', STRATA_TOKEN: token } = process.env;
const PAUSE_MS = 300;

async function call(method, path, body) {
  const response = await fetch(`${url}/api/v1/${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${method} ${path}: ${answer.detail} [${answer.code}]`);
  return answer;
}

/** The change id of the disk's latest restorable backup, or null. */
export async function latestChangeId({ vm, repository, disk }) {
  const query = new URLSearchParams({ vm_name: vm, repository_id: repository, disk_id: String(disk) });
  const vms = await call('GET', `vms?${new URLSearchParams({ vm_name: vm, repository_id: repository })}`);
  if (vms.items.length === 0) return null;
  return (await call('GET', `backups/changeid?${query}`)).change_id;
}

/** Asks for a backup of one disk and waits for its end. */
export async function backUp({ vm, repository, disk }, type, about) {
  const accepted = await call('POST', 'backups', {
    vm_name: vm,
    repository_id: repository,
    backup_type: type,
    disks: [{ disk_id: disk, ...about }],
  });
  const { backup_id: id } = accepted.disk_results[0];
  for (;;) {
    const backup = await call('GET', `backups/${id}`);
    if (!['queued', 'released', 'running'].includes(backup.status)) return backup;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

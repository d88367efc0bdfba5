import { basename } from 'node:path';
import type { BackupFacts, ChainFacts } from '../../../../src/services/validation/index.js';
import { aLayer } from '../../../helpers/layer.js';

/** Facts of a healthy chain of one full and increments: `b1` on nothing, `b2` on `b1`, and so on. The fence is 9. */
export function chainFacts(count: number): ChainFacts {
  const backups = Array.from({ length: count }, (_, i) => backupFacts(i + 1));
  const names = backups.flatMap(({ row }) => {
    const stem = basename(row.path, '.qcow2');
    return [`${stem}.qcow2`, `${stem}.digests`, `${stem}.json`];
  });
  return { fence: 9, root: '/repo', directory: 'vm/disk-0', names, backups, otherRows: [] };
}

function backupFacts(number: number): BackupFacts {
  const parent = number === 1 ? null : `b${number - 1}`;
  const row = aLayer(`b${number}`, {
    seq: number,
    parentId: parent,
    restorePointId: `rp${number}`,
    sizeBytes: 512,
    contentId: `content-${number}`,
  });
  const parentFile = parent === null ? null : `${parent}.qcow2`;
  return {
    row,
    file: { state: 'present', length: 4096, mtimeMs: number, ctimeMs: number, header: `header-${number}` },
    header: {
      state: 'read',
      virtualSize: 1024,
      backingName: parentFile ?? undefined,
      backingFormat: parentFile === null ? undefined : 'qcow2',
      corrupt: false,
    },
    check: { state: 'done', corruptions: 0, leaks: 0 },
    proof: {
      provedAt: null,
      damage: { wrong: [], unproved: [] },
      reach: { wrong: [], unproved: [] },
      settled: false,
    },
    manifestCtimeMs: number,
    manifest: {
      state: 'read',
      value: {
        format: 'strata-manifest',
        version: 1,
        repository_id: 'repo',
        vm_context_id: 'vm',
        vm_name: 'vm',
        upstream_id: '',
        disk_id: 0,
        chain_id: 'c',
        seq: number,
        backup_id: row.id,
        restore_point_id: row.restorePointId,
        fence: number,
        backup_type: parent === null ? 'full' : 'incremental',
        requested_type: 'auto',
        demoted_reason: null,
        parent_backup_id: parent,
        parent_file: parentFile,
        change_id: null,
        file: `b${number}.qcow2`,
        file_length: 4096,
        file_mtime_ms: number,
        header_sha256: `header-${number}`,
        size_bytes: 512,
        virtual_size: 1024,
        bytes_transferred: 0,
        content_id: row.contentId,
        created_at: '2026-01-01T00:00:00.000Z',
      },
    },
    digests: { state: 'read', value: { backupId: row.id, virtualSize: 1024 } },
    content: { state: 'computed', id: row.contentId },
  };
}

import type { VmDiskPut } from '../../contract/index.js';
import { type SourceRules, checkSource } from '../../services/backup/sourceRules.js';
import { refuseTooLarge } from '../../shared/diskSize.js';
import { StrataError } from '../../shared/errors.js';

/** Disk sizes are multiples of 512 bytes: QCOW2 and every hypervisor count in sectors. @throws size_not_aligned, source_too_large */
export function checkVirtualSize(bytes: number, field: string): void {
  if (!Number.isSafeInteger(bytes) || bytes <= 0 || bytes % 512 !== 0) {
    const near =
      Number.isSafeInteger(bytes) && bytes > 0 ? ` The next one is ${Math.ceil(bytes / 512) * 512}.` : '';
    throw new StrataError(
      'size_not_aligned',
      `The size ${bytes} is not a positive multiple of 512 bytes.${near} State the size of the disk as its hypervisor has it.`,
      { field },
    );
  }
  refuseTooLarge(bytes, field);
}

/** What every list of disks says of one. */
type ListedDisk = Pick<VmDiskPut, 'disk_id' | 'source' | 'virtual_size'>;

/** Checks what every list of disks has: each disk once, with a source and a size that may be. */
export function checkDisks(deps: { settings: SourceRules }, disks: readonly ListedDisk[]): void {
  const seen = new Set<number>();
  disks.forEach((disk, index) => {
    const field = `disks[${index}]`;
    if (seen.has(disk.disk_id)) {
      throw new StrataError('invalid_request', `disk_id ${disk.disk_id} is listed twice.`, {
        field: `${field}.disk_id`,
      });
    }
    seen.add(disk.disk_id);
    if (disk.source) checkSource(disk.source, deps.settings, `${field}.source`);
    if (disk.virtual_size !== undefined) checkVirtualSize(disk.virtual_size, `${field}.virtual_size`);
  });
}

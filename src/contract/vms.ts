import { type Static, Type } from 'typebox';
import {
  Bytes,
  closed,
  DiskId,
  nullable,
  PageQuery,
  pageOf,
  RepositoryRef,
  Time,
  UpstreamId,
  VmContextId,
  VmName,
} from './common.js';
import { Source } from './sources.js';

/** More disks than any hypervisor gives a VM. */
export const MOST_DISKS = 256;

export const VmDiskPut = closed({
  disk_id: DiskId,
  label: Type.Optional(Type.String({ maxLength: 191 })),
  source: Type.Optional(Source),
  virtual_size: Type.Optional(Bytes('Size of the disk')),
});
export type VmDiskPut = Static<typeof VmDiskPut>;

export const VmPut = closed({
  vm_name: VmName,
  repository_id: RepositoryRef,
  upstream_id: Type.Optional(UpstreamId),
  disks: Type.Array(VmDiskPut, {
    maxItems: MOST_DISKS,
    description: 'All disks of the VM: a registered one that is left out is retired, its chain kept.',
  }),
});
export type VmPut = Static<typeof VmPut>;

export const VmDisk = closed({
  disk_id: DiskId,
  label: nullable(Type.String()),
  virtual_size: nullable(
    Bytes('Size of the disk as last seen: by a backup, an attempt at one, or as it was registered'),
  ),
  source: nullable(Source),
  retired_at: nullable(Time('When the VM was registered without it')),
  chain_id: nullable(Type.String()),
});
export type VmDisk = Static<typeof VmDisk>;

export const Vm = closed({
  vm_context_id: Type.String(),
  vm_name: Type.String(),
  upstream_id: Type.String({ description: 'Empty when the upstream gave none.' }),
  previous_name: nullable(
    Type.String({
      description: 'What it was called before it came with another name under its upstream_id.',
    }),
  ),
  repository_id: Type.String(),
  created_at: Time('When it was registered'),
  disks: Type.Array(VmDisk),
});
export type Vm = Static<typeof Vm>;

/** Something about the source of a disk that is registered or backed up nevertheless. */
export const SourceWarning = closed({
  disk_id: DiskId,
  code: Type.String({
    description: 'One of docs/sources.md, "At registration"; stable, for scripts.',
  }),
  message: Type.String(),
});
export type SourceWarning = Static<typeof SourceWarning>;

export const SourceWarnings = Type.Array(SourceWarning, {
  description:
    "What the API's host sees of the sources: what will perhaps keep a backup from them, and which disks read the same.",
});

export const VmRegistered = closed(
  {
    ...Vm.properties,
    warnings: Type.Optional(SourceWarnings),
  },
  'The VM as it is registered now.',
);
export type VmRegistered = Static<typeof VmRegistered>;

export const VmPage = pageOf(Vm);
export type VmPage = Static<typeof VmPage>;

export const VmParams = closed({ vm_context_id: VmContextId });
export const VmDiskParams = closed({ vm_context_id: VmContextId, disk_id: DiskId });
export const VmQuery = closed({
  ...PageQuery,
  vm_name: Type.Optional(VmName),
  repository_id: Type.Optional(RepositoryRef),
});
export type VmQuery = Static<typeof VmQuery>;

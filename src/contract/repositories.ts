import { type Static, Type } from 'typebox';
import {
  Bytes,
  closed,
  Id,
  MaxBytesPerSecond,
  nullable,
  oneOf,
  PageQuery,
  pageOf,
  Time,
  DiskId,
} from './common.js';

const Name = Type.String({ minLength: 1, maxLength: 63, description: 'A-Z a-z 0-9 _ . -' });
const MaxParallelJobs = Type.Integer({
  minimum: 1,
  maximum: 10_000,
  description: 'Jobs at a time, fleet-wide.',
});
const MaxChainLength = Type.Integer({
  minimum: 2,
  maximum: 200,
  description: 'Layers after which a chain gets a synthetic full; null for STRATA_CHAIN_LIMIT.',
});
const ImmutableDays = Type.Integer({ minimum: 0, maximum: 36_500 });

const ValidateQuickHours = Type.Integer({
  minimum: 0,
  maximum: 8_760,
  description: 'Every chain is validated quickly once in so many hours; 0: never. Default: 24.',
});
const ValidateDeepDays = Type.Integer({
  minimum: 0,
  maximum: 3_650,
  description: 'Every chain is read and compared as a whole once in so many days; 0: never. Default: 30.',
});
const ValidateBytesPerHour = Type.Integer({
  // 64 KiB a second.
  minimum: 235_929_600,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'The most that this reads in an hour, in bytes.',
});

export const RepositoryType = oneOf(['local', 'nfs']);

export const RepositoryCreate = closed({
  name: Name,
  type: RepositoryType,
  root_path: Type.String({
    minLength: 1,
    maxLength: 700,
    description: 'Absolute path of a mounted directory.',
  }),
  pool: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 63,
      default: 'default',
      description: 'Workers of this pool mount it.',
    }),
  ),
  min_free_bytes: Type.Optional(Bytes('Room that backups leave free')),
  max_parallel_jobs: Type.Optional(MaxParallelJobs),
  max_bytes_per_second: Type.Optional(MaxBytesPerSecond),
  immutable_days: Type.Optional(ImmutableDays),
  max_chain_length: Type.Optional(MaxChainLength),
  validate_quick_hours: Type.Optional(ValidateQuickHours),
  validate_deep_days: Type.Optional(ValidateDeepDays),
  validate_bytes_per_hour: Type.Optional(ValidateBytesPerHour),
  adopt: Type.Optional(
    Type.Boolean({
      description:
        'The directory is a repository already, whose database is lost: take its id over. Never while another Strata uses it.',
    }),
  ),
});
export type RepositoryCreate = Static<typeof RepositoryCreate>;

export const RepositoryAdopt = closed({
  root_path: Type.String({
    minLength: 1,
    maxLength: 700,
    description: 'Absolute path at which a known repository is now; its marker file proves which one it is.',
  }),
});
export type RepositoryAdopt = Static<typeof RepositoryAdopt>;

export const RepositoryPatch = Type.Object(
  {
    name: Type.Optional(Name),
    pool: Type.Optional(Type.String({ minLength: 1, maxLength: 63 })),
    enabled: Type.Optional(Type.Boolean({ description: 'A disabled repository accepts no backups.' })),
    min_free_bytes: Type.Optional(Bytes('Room that backups leave free')),
    max_parallel_jobs: Type.Optional(nullable(MaxParallelJobs)),
    max_bytes_per_second: Type.Optional(nullable(MaxBytesPerSecond)),
    immutable_days: Type.Optional(ImmutableDays),
    max_chain_length: Type.Optional(nullable(MaxChainLength)),
    validate_quick_hours: Type.Optional(ValidateQuickHours),
    validate_deep_days: Type.Optional(ValidateDeepDays),
    validate_bytes_per_hour: Type.Optional(nullable(ValidateBytesPerHour)),
  },
  { additionalProperties: false, minProperties: 1 },
);
export type RepositoryPatch = Static<typeof RepositoryPatch>;

export const Repository = closed({
  id: Type.String(),
  name: Type.String(),
  type: RepositoryType,
  root_path: Type.String(),
  pool: Type.String(),
  enabled: Type.Boolean(),
  min_free_bytes: Bytes('Room that backups leave free'),
  max_parallel_jobs: nullable(Type.Integer()),
  max_bytes_per_second: nullable(
    Type.Integer({ description: 'Shared equally by the jobs that run on it; null: no limit.' }),
  ),
  immutable_days: Type.Integer(),
  max_chain_length: nullable(Type.Integer()),
  validate_quick_hours: Type.Integer(),
  validate_deep_days: Type.Integer(),
  validate_bytes_per_hour: nullable(Type.Integer()),
  total_bytes: nullable(Bytes('Size of the file system')),
  used_bytes: nullable(Bytes('Used on the file system')),
  available_bytes: nullable(Bytes('Available on the file system')),
  capacity_read_at: nullable(Time('When the three were read')),
  created_at: Time('When it was registered'),
  unserved_kinds: Type.Optional(
    Type.Array(oneOf(['backup', 'maintenance', 'restore']), {
      description:
        'Kinds of jobs that wait for ever: no live worker serves its pool (STRATA_POOLS). Left out of events.',
    }),
  ),
});
export type Repository = Static<typeof Repository>;

export const RepositoryPage = pageOf(Repository);
export type RepositoryPage = Static<typeof RepositoryPage>;

export const RepositoryParams = closed({ id: Id('repo', 'repository') });
export const RepositoryQuery = closed(PageQuery);
export type RepositoryQuery = Static<typeof RepositoryQuery>;

export const ChainSpace = closed({
  chain_id: Type.String(),
  vm_context_id: Type.String(),
  vm_name: Type.String(),
  disk_id: DiskId,
  points: Type.Integer({ minimum: 0 }),
  points_bytes: Bytes('Files of restore points'),
  reclaimable_bytes: Bytes(
    'Files of expired backups: at most this comes free when they are merged or removed',
  ),
});
export type ChainSpace = Static<typeof ChainSpace>;

export const RepositorySpace = closed({
  repository_id: Type.String(),
  total_bytes: nullable(Bytes('Size of the file system')),
  available_bytes: nullable(Bytes('Free on the file system')),
  reserve_bytes: Bytes('Room that backups leave free'),
  quarantine: nullable(
    closed(
      { files: Type.Integer({ minimum: 0 }), bytes: Bytes('What they take') },
      'Null where the API does not mount it.',
    ),
  ),
  uncatalogued: nullable(
    closed(
      {
        files: Type.Integer({ minimum: 0 }),
        bytes: Bytes('What they take'),
        compared_at: Time('When catalogue and files were compared'),
      },
      'Images that `qemu-img` restores and the catalogue does not know, with their sidecars: no age removes them. Null before the first comparison.',
    ),
  ),
  chains: Type.Array(ChainSpace, { description: 'The largest first; at most 1000.' }),
});
export type RepositorySpace = Static<typeof RepositorySpace>;

import { type Static, Type } from 'typebox';
import { Bytes, ChangeId, closed, DiskId, JobStatus, nullable, oneOf, Time } from './common.js';

const WrittenType = oneOf(['full', 'incremental', 'differential']);

/** The export that an agent writes a backup to. */
export const NbdExport = closed(
  {
    uri: Type.String({ description: 'For NBD clients; keys and certificates are given to them apart.' }),
    export_name: Type.String({ description: 'Whoever knows it may write: treat it as a password.' }),
    host: nullable(Type.String()),
    port: nullable(Type.Integer()),
    socket: nullable(Type.String({ description: "Path on the worker's host, where it has no port." })),
    tls: oneOf(['none', 'psk', 'x509']),
    connections: Type.Integer({ description: 'Connections at a time.' }),
    attempt: Type.Integer({
      minimum: 1,
      description: 'How many exports were opened for the backup: each begins anew, and wants all of it.',
    }),
    backup_type: WrittenType,
    demoted_reason: nullable(Type.String({ description: 'Why it is not what was asked for.' })),
    parent_backup_id: nullable(
      Type.String({ description: 'What the export reads as before it is written.' }),
    ),
    since_change_id: nullable(
      Type.String({ description: 'Write what has changed since; null: write the whole disk.' }),
    ),
    virtual_size: Bytes('Size of the export'),
    opened_at: Time('When it was opened'),
  },
  'An NBD export that waits for an agent.',
);
export type NbdExport = Static<typeof NbdExport>;

const Attempt = Type.Optional(
  Type.Integer({
    minimum: 1,
    description: '`nbd_export.attempt` of the export that is spoken of; needed from the second on.',
  }),
);

export const PushComplete = closed({
  disk_id: DiskId,
  change_id: Type.Optional(nullable(ChangeId)),
  bytes_transferred: Bytes('Payload written, as the agent counts'),
  attempt: Attempt,
  backup_type: Type.Optional(
    oneOf(
      ['full', 'incremental', 'differential'],
      'What the agent wrote; needed where the backup became something else than was asked for.',
    ),
  ),
});
export type PushComplete = Static<typeof PushComplete>;

export const PushProgress = closed({
  bytes_done: Bytes('Done so far'),
  bytes_total: Type.Optional(nullable(Bytes('To do'))),
  attempt: Attempt,
});
export type PushProgress = Static<typeof PushProgress>;

export const PushFail = closed({
  reason: Type.String({ minLength: 1, maxLength: 1000, description: 'Becomes the detail of the error.' }),
  attempt: Attempt,
});
export type PushFail = Static<typeof PushFail>;

/** Answer to all that an agent says. */
export const PushAnswer = closed({
  id: Type.String(),
  status: JobStatus,
  state: oneOf(
    ['waiting', 'open', 'accepted'],
    'accepted: all that was written is on stable storage; the agent may go.',
  ),
  attempt: Type.Integer({ minimum: 0 }),
  cancel_requested: Type.Boolean({ description: 'The agent may stop: somebody has cancelled the backup.' }),
});
export type PushAnswer = Static<typeof PushAnswer>;

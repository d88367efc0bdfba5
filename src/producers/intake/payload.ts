import { Compile } from 'typebox/compile';
import { BackupCreate } from '../../contract/index.js';
import { StrataError } from '../../shared/errors.js';
import { isCrowded } from '../http/longLists.js';
import { explain } from '../http/schemaErrors.js';

/** What an upstream puts into `intake.<pool>`: a version, a key of its own, and the body of `POST /backups`. */
export interface IntakePayload {
  v: 1;
  /** The same key twice is one backup; the entry's own id where there is none. */
  idempotency_key?: string;
  backup: BackupCreate;
}

const checker = Compile(BackupCreate);
const KEY = /^[\x21-\x7e]{1,191}$/;

/**
 * Reads an entry of an upstream, which may hold anything.
 * @throws invalid_request with every field that is wrong
 */
export function parseIntake(raw: unknown): IntakePayload {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw))
    throw refused([{ field: '', message: 'must be an object' }]);
  const { v, idempotency_key: key, backup, ...rest } = raw as Record<string, unknown>;
  const unknown = Object.keys(rest)[0];
  if (v !== 1) throw refused([{ field: 'v', message: 'must be 1' }]);
  if (unknown !== undefined) throw refused([{ field: unknown, message: 'is not known' }]);
  if (key !== undefined && (typeof key !== 'string' || !KEY.test(key))) {
    throw refused([
      { field: 'idempotency_key', message: 'has 1 to 191 printable characters without blanks' },
    ]);
  }
  if (isCrowded(backup) || !checker.Check(backup)) {
    throw refused(
      explain(BackupCreate, backup).map(({ field, message }) => ({ field: `backup.${field}`, message })),
    );
  }
  return { v, ...(key === undefined ? {} : { idempotency_key: key }), backup };
}

function refused(fields: { field: string; message: string }[]): StrataError {
  const [first] = fields;
  return new StrataError(
    'invalid_request',
    `The intake payload does not fit: ${first?.field} ${first?.message}.`,
    { fields },
  );
}

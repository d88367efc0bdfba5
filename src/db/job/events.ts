import type { JobKind } from '../../shared/jobs.js';
import type { EntityManager } from 'typeorm';
import type { RestorePointStatus } from '../../entities/index.js';
import { systemClock } from '../../shared/clock.js';
import type { EventType } from '../../shared/eventTypes.js';
import { newId } from '../../shared/ids.js';

export interface NewEvent {
  type: EventType;
  /** Id of the job or restore point that it is about. */
  subjectId: string;
}

const WANTED = '(w.events IS NULL OR JSON_CONTAINS(w.events, JSON_QUOTE(e.type)))';

/**
 * Writes down that something has happened, for every webhook that wants to know, in the transaction in which it happens:
 * webhooks hear of what is committed, and not of what is rolled back. One statement, whatever the number of webhooks.
 * @param onlyFor notifies this webhook alone, whatever events it wants
 */
export async function recordEvents(
  tx: EntityManager,
  events: readonly NewEvent[],
  onlyFor?: string,
): Promise<void> {
  if (events.length === 0) return;
  const rows = events.map(() => 'SELECT ? AS event_id, ? AS type, ? AS subject_id').join(' UNION ALL ');
  await tx.query(
    `INSERT INTO outbox_events (id, webhook_id, event_id, type, subject_id, state, next_attempt_at, created_at)
     SELECT CONCAT(e.event_id, '.', w.id), w.id, e.event_id, e.type, e.subject_id, 'pending', UTC_TIMESTAMP(3), UTC_TIMESTAMP(3)
     FROM webhooks w JOIN (${rows}) e
     WHERE w.enabled = 1 AND ${onlyFor === undefined ? WANTED : 'w.id = ?'}`,
    [
      ...events.flatMap(({ type, subjectId }) => [newId('evt', systemClock.now()), type, subjectId]),
      ...(onlyFor === undefined ? [] : [onlyFor]),
    ],
  );
}

/** The events of a job that has just ended, and of its restore point where that has ended with it. */
export function endedEvents(
  kind: JobKind,
  jobId: string,
  status: 'completed' | 'failed' | 'cancelled',
  point?: EndedPoint,
): NewEvent[] {
  const own: NewEvent = { type: `${kind}.${status}`, subjectId: jobId };
  return point ? [own, { type: pointEvent(point.status), subjectId: point.id }] : [own];
}

/** A restore point that has just come to its end. */
export interface EndedPoint {
  id: string;
  status: Exclude<RestorePointStatus, 'pending' | 'running' | 'expired'>;
}

function pointEvent(status: EndedPoint['status']): EventType {
  // The point itself has the warnings.
  return status === 'completed_with_warnings' ? 'restore_point.completed' : `restore_point.${status}`;
}

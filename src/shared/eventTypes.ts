/**
 * Everything that a webhook can be told, `<subject>.<what happened>`. Names are for good: receivers match them.
 * `webhook.test` is only sent when it is asked for.
 */
export const EVENT_TYPES = [
  'backup.completed',
  'backup.failed',
  'backup.cancelled',
  'backup.damaged',
  'backup.cleared',
  'backup.tracker_lied',
  'restore_point.completed',
  'restore_point.failed',
  'restore_point.cancelled',
  'restore.completed',
  'restore.failed',
  'restore.cancelled',
  'maintenance.completed',
  'maintenance.failed',
  'maintenance.cancelled',
  'validation.unhealthy',
  'vm.renamed',
  'policy.schedule_refused',
  'policy_run.completed',
  'policy_run.failed',
  'policy_run.empty',
  'policy_run.skipped',
  'repository.low_space',
  'repository.space_ok',
  'repository.moved',
  'pool.unserved',
  'pool.served',
  'webhook.test',
] as const;

export type EventType = (typeof EVENT_TYPES)[number];

import type { MigrationInterface, QueryRunner } from 'typeorm';

const TABLES = [
  `CREATE TABLE policies (
    id varchar(64) NOT NULL,
    name varchar(63) NOT NULL,
    enabled tinyint NOT NULL DEFAULT 1,
    schedule varchar(191) NULL,
    time_zone varchar(64) NOT NULL,
    jitter_seconds int NOT NULL DEFAULT 0,
    backup_type varchar(16) NOT NULL,
    full_every int NULL,
    full_after_days int NULL,
    keep json NULL,
    next_run_at datetime(3) NULL,
    created_at datetime(3) NOT NULL,
    UNIQUE INDEX uq_policies_name (name),
    INDEX ix_policies_due (enabled, next_run_at),
    PRIMARY KEY (id)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  `CREATE TABLE policy_members (
    vm_context_id varchar(191) NOT NULL,
    policy_id varchar(64) NOT NULL,
    INDEX ix_policy_members_policy (policy_id, vm_context_id),
    PRIMARY KEY (vm_context_id),
    CONSTRAINT fk_policy_members_vm_context FOREIGN KEY (vm_context_id) REFERENCES vm_contexts (vm_context_id) ON DELETE RESTRICT ON UPDATE RESTRICT,
    CONSTRAINT fk_policy_members_policy FOREIGN KEY (policy_id) REFERENCES policies (id) ON DELETE RESTRICT ON UPDATE RESTRICT
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  `CREATE TABLE policy_runs (
    id varchar(64) NOT NULL,
    policy_id varchar(64) NOT NULL,
    started_by varchar(16) NOT NULL,
    status varchar(32) NOT NULL,
    scheduled_for datetime(3) NULL,
    started_at datetime(3) NOT NULL,
    ended_at datetime(3) NULL,
    INDEX ix_policy_runs_policy (policy_id, started_at, id),
    INDEX ix_policy_runs_status (status, policy_id),
    PRIMARY KEY (id),
    CONSTRAINT ck_policy_runs_status CHECK (status IN ('running', 'completed', 'completed_with_warnings', 'failed', 'empty', 'skipped')),
    CONSTRAINT fk_policy_runs_policy FOREIGN KEY (policy_id) REFERENCES policies (id) ON DELETE RESTRICT ON UPDATE RESTRICT
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  `CREATE TABLE policy_run_vms (
    run_id varchar(64) NOT NULL,
    vm_context_id varchar(191) NOT NULL,
    due_at datetime(3) NOT NULL,
    restore_point_id varchar(64) NULL,
    error_code varchar(64) NULL,
    error_detail text NULL,
    INDEX ix_policy_run_vms_due (restore_point_id, error_code, due_at),
    PRIMARY KEY (run_id, vm_context_id),
    CONSTRAINT fk_policy_run_vms_run FOREIGN KEY (run_id) REFERENCES policy_runs (id) ON DELETE RESTRICT ON UPDATE RESTRICT
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
];

/** When VMs are backed up, which of their restore points are kept, and what came of each time. */
export class AddPolicies1795000000012 implements MigrationInterface {
  readonly name = 'AddPolicies1795000000012';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const table of TABLES) await queryRunner.query(table);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const table of ['policy_run_vms', 'policy_runs', 'policy_members', 'policies']) {
      await queryRunner.query(`DROP TABLE ${table}`);
    }
  }
}

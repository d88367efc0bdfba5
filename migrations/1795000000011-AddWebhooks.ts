import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Addresses that are told what happened, and what they are still to be told. */
export class AddWebhooks1795000000011 implements MigrationInterface {
  readonly name = 'AddWebhooks1795000000011';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`CREATE TABLE webhooks (
      id varchar(64) NOT NULL,
      name varchar(63) NOT NULL,
      url varchar(2000) NOT NULL,
      secret varchar(191) NOT NULL,
      events json NULL,
      enabled tinyint NOT NULL DEFAULT 1,
      created_at datetime(3) NOT NULL,
      UNIQUE INDEX uq_webhooks_name (name),
      PRIMARY KEY (id)
    ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`);
    await queryRunner.query(`CREATE TABLE outbox_events (
      id varchar(64) NOT NULL,
      webhook_id varchar(64) NOT NULL,
      event_id varchar(64) NOT NULL,
      type varchar(64) NOT NULL,
      subject_id varchar(64) NOT NULL,
      body mediumtext NULL,
      state varchar(16) NOT NULL,
      attempts int NOT NULL DEFAULT 0,
      next_attempt_at datetime(3) NOT NULL,
      last_status int NULL,
      last_error varchar(500) NULL,
      created_at datetime(3) NOT NULL,
      delivered_at datetime(3) NULL,
      INDEX ix_outbox_events_due (state, next_attempt_at),
      INDEX ix_outbox_events_webhook (webhook_id, created_at, id),
      INDEX ix_outbox_events_state_created (state, created_at),
      PRIMARY KEY (id),
      CONSTRAINT ck_outbox_events_state CHECK (state IN ('pending', 'delivered', 'dead')),
      CONSTRAINT fk_outbox_events_webhook FOREIGN KEY (webhook_id) REFERENCES webhooks (id) ON DELETE RESTRICT ON UPDATE RESTRICT
    ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE outbox_events');
    await queryRunner.query('DROP TABLE webhooks');
  }
}

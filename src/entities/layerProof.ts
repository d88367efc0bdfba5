import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from './orm.js';
import { BackupJob } from './backupJob.js';
import { BINARY_COLLATION, TIME } from './columns.js';

/** A range of the guest disk in bytes, as it is stored: `[offset, length]`. */
export type StoredRange = [offset: number, length: number];

/** What was found of a file when it was read. */
export interface LayerDamage {
  /** Ranges that read otherwise than they were written. */
  wrong: StoredRange[];
  /** Ranges of which that could not be told. */
  unproved: StoredRange[];
}

/** A reading that is under way, from its beginning to `up_to`. */
export interface ProofPass extends LayerDamage {
  started_at: string;
  /** Number of the first block that has not been compared. */
  up_to: number;
  /** Length, time and inode of the file: another file is read from its beginning. */
  file: string;
}

/** Ranges of a restore point, with the backup whose file holds them. */
export interface DamageReach {
  wrong: [offset: number, length: number, backupId: string][];
  unproved: [offset: number, length: number, backupId: string][];
}

/** What deep validations know of a backup. */
@Entity('layer_proofs')
export class LayerProof {
  @PrimaryColumn({ name: 'backup_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  backupId!: string;

  @ManyToOne(() => BackupJob, { onDelete: 'CASCADE', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'backup_id', foreignKeyConstraintName: 'fk_layer_proofs_backup' })
  backup?: Relation<BackupJob>;

  /** When its file had last been read from the beginning to the end and compared. */
  @Column({ name: 'proved_at', ...TIME, nullable: true })
  provedAt!: Date | null;

  /** What was wrong with the file then; NULL for nothing. */
  @Column({ type: 'json', nullable: true })
  damage!: LayerDamage | null;

  /** What of the restore point that reaches, from its own file and those below; NULL for nothing. */
  @Column({ type: 'json', nullable: true })
  reach!: DamageReach | null;

  @Column({ type: 'json', nullable: true })
  pass!: ProofPass | null;
}

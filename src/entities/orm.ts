// TypeORM by `require`: of a CommonJS package that is imported, Node first searches all files for the names that they
// export, a tenth of the processor time in which a process starts. .oxlintrc.json keeps it to this file.
import { createRequire } from 'node:module';

const typeorm = createRequire(import.meta.url)('typeorm') as typeof import('typeorm');

export const { Column, Entity, Index, JoinColumn, ManyToOne, OneToOne, PrimaryColumn } = typeorm;
export const { DataSource, In, IsNull, MoreThanOrEqual, Not } = typeorm;
export type DataSource = import('typeorm').DataSource;
export type { MigrationInterface, Relation } from 'typeorm';

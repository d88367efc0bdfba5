/** The only names under which other folders see TypeORM: a connected database, and one transaction of it. */
export type { DataSource, EntityManager } from 'typeorm';

import type { RowDataPacket } from 'mysql2/promise';
import { createConnection } from 'mysql2/promise';

/** The statements that give an empty database the tables of another one, and say which migrations that has had. */
export type SchemaCopy = string;

interface TableRow extends RowDataPacket {
  name: string;
}
interface CreateRow extends RowDataPacket {
  'Create Table': string;
}
interface MigrationRow extends RowDataPacket {
  id: number;
  timestamp: string;
  name: string;
}

/** Says how an empty, migrated database is: its tables as the server writes them down, and which migrations it has had. */
export function readSchema(socketPath: string, database: string): Promise<SchemaCopy> {
  return inDatabase(socketPath, database, async (connection) => {
    const [tables] = await connection.query<TableRow[]>(
      'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ? ORDER BY table_name',
      [database],
    );
    const statements = ['SET FOREIGN_KEY_CHECKS = 0'];
    for (const { name } of tables) {
      const [[created]] = await connection.query<CreateRow[]>('SHOW CREATE TABLE ??', [name]);
      if (!created) throw new Error(`The server does not say how ${name} is made.`);
      statements.push(created['Create Table']);
    }
    const [migrations] = await connection.query<MigrationRow[]>(
      'SELECT id, timestamp, name FROM schema_migrations ORDER BY id',
    );
    for (const { id, timestamp, name } of migrations)
      statements.push(
        connection.format('INSERT INTO schema_migrations (id, timestamp, name) VALUES (?, ?, ?)', [
          id,
          timestamp,
          name,
        ]),
      );
    return statements.join(';\n');
  });
}

/** Makes an empty database what the other one was. */
export function applySchema(socketPath: string, database: string, copy: SchemaCopy): Promise<void> {
  return inDatabase(socketPath, database, async (connection) => {
    await connection.query(copy);
  });
}

async function inDatabase<T>(
  socketPath: string,
  database: string,
  work: (connection: Awaited<ReturnType<typeof createConnection>>) => Promise<T>,
): Promise<T> {
  const connection = await createConnection({ socketPath, database, user: 'root', multipleStatements: true });
  try {
    return await work(connection);
  } finally {
    await connection.end();
  }
}

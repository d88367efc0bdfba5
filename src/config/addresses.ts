/** A database URL taken apart: `mariadb://user:password@host:port/name`, or `...@localhost/name?socketPath=/path`. */
export interface ParsedDatabaseUrl {
  host?: string;
  port?: number;
  socketPath?: string;
  user: string;
  password?: string;
  name: string;
}

/** Reads a database URL that `readSettings` has accepted. */
export function parseDatabaseUrl(text: string): ParsedDatabaseUrl {
  const url = new URL(text);
  const socketPath = url.searchParams.get('socketPath');
  return {
    ...(socketPath ? { socketPath } : { host: url.hostname || 'localhost', port: Number(url.port || 3306) }),
    user: decodeURIComponent(url.username || 'root'),
    ...(url.password ? { password: decodeURIComponent(url.password) } : {}),
    name: decodeURIComponent(url.pathname.replace(/^\//, '')) || 'strata',
  };
}

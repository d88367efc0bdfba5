/** How agents reach the exports that they push backups to. */
export interface PushSettings {
  /** IP address that exports listen on. */
  address: string;
  /** Name or address of this host in the URIs that agents are given. */
  host: string;
  /** Both included; every export takes one. */
  ports: { first: number; last: number };
  /** Exports listen on unix sockets in this directory instead. */
  socketDir: string | undefined;
  tls: 'none' | 'psk' | 'x509';
  /** Where the keys or certificates are. */
  tlsDir: string;
  /** Connections of agents to one export at a time. */
  connections: number;
  /** How long an agent may be silent, before it has connected or afterwards, in ms. */
  silenceMs: number;
}

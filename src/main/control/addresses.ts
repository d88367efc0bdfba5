/** Where a running system is reached. */
export interface Addresses {
  api: string;
  docs: string;
  queues: string;
  metrics: string;
}

export function addressesOf(url: string): Addresses {
  return { api: `${url}/api/v1`, docs: `${url}/docs`, queues: `${url}/queues`, metrics: `${url}/metrics` };
}

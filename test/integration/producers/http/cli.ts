import { runCli } from '../../../../src/cli/index.js';
import { systemClock } from '../../../../src/shared/clock.js';
import type { TestApi } from './support.js';

/** What a command has printed, and its exit code. */
export interface Printed {
  code: number;
  out: string;
  err: string;
}

/** Runs `strata ARGS` against an API in this process, as an admin. */
export async function strataOn(api: TestApi, ...args: string[]): Promise<Printed> {
  const printed = { out: '', err: '' };
  const code = await runCli(args, {
    out: (text) => (printed.out += text),
    err: (text) => (printed.err += text),
    terminal: false,
    columns: () => 200,
    env: { STRATA_URL: 'http://127.0.0.1:1', STRATA_TOKEN: api.tokens.admin },
    projectDir: '/nowhere',
    clock: systemClock,
    signal: new AbortController().signal,
    fetch: (url, init) => inject(api, new Request(url).url, init),
  });
  return { code, ...printed };
}

async function inject(api: TestApi, url: string, init: RequestInit = {}): Promise<Response> {
  const { pathname, search } = new URL(url);
  const answer = await api.app.inject({
    method: (init.method ?? 'GET') as 'GET',
    url: `${pathname}${search}`,
    headers: Object.fromEntries(new Headers(init.headers)),
    ...(typeof init.body === 'string' ? { payload: init.body } : {}),
  });
  const headers = Object.entries(answer.headers).map(([name, value]): [string, string] => [
    name,
    String(value),
  ]);
  const empty = answer.statusCode === 204;
  return new Response(empty ? null : new Uint8Array(answer.rawPayload), {
    status: answer.statusCode,
    headers,
  });
}

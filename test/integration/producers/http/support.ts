import { expect } from 'chai';
import type { TSchema } from 'typebox';
import { Errors } from 'typebox/value';
import { Problem } from '../../../../src/contract/index.js';
import { createToken } from '../../../../src/db/fleet/tokens.js';
import type { Role } from '../../../../src/entities/index.js';
import { type Api, createHttpServer } from '../../../../src/producers/http/index.js';
import { systemClock } from '../../../../src/shared/clock.js';
import { type FleetOptions, openFleet, type TestFleet } from '../../../helpers/fleet.js';

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface Answer {
  status: number;
  headers: Record<string, unknown>;
  text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- each test knows what it asked for
  body: any;
}

export interface CallOptions {
  /** Whose token is sent: an admin's if nothing is said, none for `nobody`. */
  as?: Role | 'nobody';
  body?: unknown;
  headers?: Record<string, string>;
  /** Sent as it is. */
  raw?: string;
}

/** A route as it was registered: what the tests about all routes walk through. */
export interface RegisteredRoute {
  method: string;
  url: string;
}

/** The API on a fleet of its own. */
export interface TestApi {
  app: Api;
  fleet: TestFleet;
  routes: RegisteredRoute[];
  tokens: Record<Role, string>;
  call(method: Method, path: string, options?: CallOptions): Promise<Answer>;
  /** GET below /api/v1 that must succeed and fit the schema. */
  read(path: string, schema: TSchema): Promise<Answer['body']>;
  close(): Promise<void>;
}

export const BASE = '/api/v1';

export async function openApi(options: FleetOptions = {}): Promise<TestApi> {
  const fleet = await openFleet(options);
  const app = createHttpServer({
    ...fleet.accept,
    settings: { ...fleet.accept.settings, pools: ['default'] },
    metrics: fleet.worker.metrics,
    pingRedis: () => fleet.worker.redis.ping(),
  });
  const routes: RegisteredRoute[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    for (const each of [method].flat()) routes.push({ method: each, url });
  });
  await app.ready();
  const token = async (role: Role) =>
    (await createToken(fleet.suite.ds, { name: role, role, expiresAt: null, now: systemClock.now() })).token;
  const tokens = {
    admin: await token('admin'),
    operator: await token('operator'),
    viewer: await token('viewer'),
  };
  const call: TestApi['call'] = async (method, path, { as = 'admin', body, headers, raw } = {}) => {
    const response = await app.inject({
      method,
      url: path.startsWith('/') ? path : `${BASE}/${path}`,
      headers: {
        ...(as === 'nobody' ? {} : { authorization: `Bearer ${tokens[as]}` }),
        ...(body === undefined && raw === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined && raw === undefined ? {} : { payload: raw ?? JSON.stringify(body) }),
    });
    const isJson = String(response.headers['content-type']).includes('json');
    return {
      status: response.statusCode,
      headers: response.headers,
      text: response.payload,
      body: isJson && response.payload !== '' ? JSON.parse(response.payload) : undefined,
    };
  };
  return {
    app,
    fleet,
    routes,
    tokens,
    call,
    read: async (path, schema) => {
      const { status, body, text } = await call('GET', path, { as: 'viewer' });
      expect(status, text).to.equal(200);
      fits(schema, body);
      return body;
    },
    close: async () => {
      await app.close();
      await fleet.close();
    },
  };
}

/** Demands that a value fits a schema of the contract, additional properties not allowed. */
export function fits(schema: TSchema, value: unknown): void {
  expect(Errors(schema, value), JSON.stringify(value)?.slice(0, 2000)).to.deep.equal([]);
}

/** Demands problem details with this status and code, and returns the names of the fields. */
export function isProblem(answer: Answer, status: number, code: string): string[] {
  expect(answer.status, answer.text.slice(0, 2000)).to.equal(status);
  expect(answer.headers['content-type']).to.match(/^application\/problem\+json/);
  fits(Problem, answer.body);
  expect(answer.body.status).to.equal(status);
  expect(answer.body.code).to.equal(code);
  expect(answer.body.type).to.equal(`urn:strata:error:${code}`);
  return (answer.body.errors as { field: string }[]).map(({ field }) => field);
}

// One file for each noun of the API; all are imported through the index.
import { type Static, Type } from 'typebox';
import { closed, Id, nullable, oneOf, PageQuery, pageOf, Time } from './common.js';

export const Role = oneOf(
  ['admin', 'operator', 'viewer'],
  'viewer reads; operator also backs up, restores, validates, cancels and registers VMs; admin does everything.',
);
export type Role = Static<typeof Role>;

export const TokenCreate = closed({
  name: Type.String({ minLength: 1, maxLength: 63, description: 'A-Z a-z 0-9 _ . -' }),
  role: Role,
  expires_at: Type.Optional(Time('When it stops to work')),
});
export type TokenCreate = Static<typeof TokenCreate>;

const properties = {
  id: Type.String(),
  name: Type.String(),
  role: Role,
  created_at: Time('When it was made'),
  last_used_at: nullable(Time('When it was used, to the minute')),
  expires_at: nullable(Time('When it stops to work')),
};

export const Token = closed(properties);
export type Token = Static<typeof Token>;

export const TokenCreated = closed({
  ...properties,
  token: Type.String({ description: 'Shown this once; only its SHA-256 is kept.' }),
});
export type TokenCreated = Static<typeof TokenCreated>;

export const TokenPage = pageOf(Token);
export type TokenPage = Static<typeof TokenPage>;

export const TokenParams = closed({ id: Id('tok', 'token') });
export const TokenQuery = closed(PageQuery);
export type TokenQuery = Static<typeof TokenQuery>;

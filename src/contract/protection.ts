import { type Static, Type } from 'typebox';
import { closed, nullable } from './common.js';

export const Protection = closed({
  protected_until: nullable(
    Type.String({ format: 'date-time', description: 'Not to be removed before; null: no longer protected.' }),
  ),
});
export type Protection = Static<typeof Protection>;

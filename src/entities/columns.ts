import type { ValueTransformer } from 'typeorm';

/** BIGINT arrives from the driver as a string; every size and counter of Strata is a safe integer. */
export const bigintAsNumber: ValueTransformer = {
  to: (value: number | null | undefined) => value,
  from: (value: string | number | null) => (value === null || value === undefined ? null : Number(value)),
};

/** Names and ids are compared byte by byte: `Web` and `web` are two VMs. */
export const BINARY_COLLATION = { charset: 'utf8mb4', collation: 'utf8mb4_bin' } as const;

/** A nullable or not-null BIGINT that holds bytes or a counter. */
export const BIGINT = { type: 'bigint', transformer: bigintAsNumber } as const;

/** UTC with milliseconds. */
export const TIME = { type: 'datetime', precision: 3 } as const;

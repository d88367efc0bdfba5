import { ERRORS, type ErrorCode, type Outcome } from './errorCodes.js';

export interface FieldError {
  /** JSON-pointer-like path of the field, such as `disks[0].source.path`. */
  field: string;
  message: string;
}

export interface StrataErrorOptions {
  cause?: unknown;
  /** The one field that is wrong; short for `fields` with one entry. */
  field?: string;
  fields?: FieldError[];
  /** Machine-readable facts for logs and responses. No secrets. */
  details?: Record<string, unknown>;
}

/** The one error class of Strata: a code from the registry, a sentence with the facts, and the cause kept. */
export class StrataError extends Error {
  override readonly name = 'StrataError';
  readonly code: ErrorCode;
  readonly fields: FieldError[];
  readonly details: Record<string, unknown>;

  constructor(code: ErrorCode, message: string, options: StrataErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.fields = options.fields ?? (options.field === undefined ? [] : [{ field: options.field, message }]);
    this.details = options.details ?? {};
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  get outcome(): Outcome {
    return ERRORS[this.code].outcome;
  }

  get exitCode(): number {
    return ERRORS[this.code].exit;
  }
}

/** True for a StrataError, with one of the codes if any are given. */
export function isStrataError(error: unknown, ...codes: ErrorCode[]): error is StrataError {
  return error instanceof StrataError && (codes.length === 0 || codes.includes(error.code));
}

/**
 * Makes a StrataError of anything thrown: a system error keeps its meaning, the rest is `internal`. An I/O error is taken
 * for the repository's: whoever reads a backup's source uses sourceReadError.
 */
export function asStrataError(error: unknown, fallback: ErrorCode = 'internal'): StrataError {
  if (error instanceof StrataError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new StrataError(systemCode(error) ?? fallback, message, { cause: error });
}

/** The `code` of a Node.js system error (`ENOENT`, ...), or undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

function systemCode(error: unknown): ErrorCode | undefined {
  switch (errnoOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return 'no_space';
    case 'ESTALE':
    case 'EIO':
    case 'EROFS':
    case 'ENOTCONN':
      return 'repository_unavailable';
    default:
      return undefined;
  }
}

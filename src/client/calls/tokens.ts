// One file for each noun of the API; the index puts their calls together.
import type { Page, Token, TokenCreate, TokenCreated } from '../../contract/index.js';
import { type CallOptions, path, type Transport } from '../transport.js';
import { listOf, type PageRequest } from './options.js';

export interface TokenCalls {
  /** The only answer that shows the token. It is not repeated when the connection breaks: its answer would be lost. */
  create(body: TokenCreate, options?: CallOptions): Promise<TokenCreated>;
  list(page?: PageRequest, options?: CallOptions): Promise<Page<Token>>;
  remove(id: string, options?: CallOptions): Promise<void>;
}

export function tokenCalls(transport: Transport): TokenCalls {
  const base = path('tokens');
  return {
    create: (body, options) => transport.call({ method: 'POST', path: base, body }, options),
    list: (page, options) => listOf(transport)(base, page, options),
    remove: (id, options) => transport.call({ method: 'DELETE', path: path('tokens', id) }, options),
  };
}

// Apart from its caller: encryption is read and reviewed for itself.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

/** What a request was answered. */
export interface KeptAnswer {
  status: number;
  location?: string | undefined;
  body: string;
}

/** An answer that only the caller's token opens. */
export type SealedAnswer = Record<'salt' | 'tag' | 'data', string>;

/**
 * Seals an answer with the caller's own token, of which the catalogue keeps a hash only: an answer may hold a new token or a
 * webhook's secret, and a copy of the database must not. AES-256-GCM; each answer has a key of its own, so that the nonce may stay.
 */
export function sealAnswer(token: string, answer: KeptAnswer): SealedAnswer {
  const salt = randomBytes(32);
  const cipher = createCipheriv('aes-256-gcm', keyOf(token, salt), NONCE);
  const data = Buffer.concat([cipher.update(JSON.stringify(answer), 'utf8'), cipher.final()]);
  return {
    salt: salt.toString('base64'),
    tag: cipher.getAuthTag().toString('base64'),
    data: data.toString('base64'),
  };
}

/** @throws Error of node:crypto for another token, or an answer that was changed */
export function openAnswer(token: string, { salt, tag, data }: SealedAnswer): KeptAnswer {
  const decipher = createDecipheriv('aes-256-gcm', keyOf(token, Buffer.from(salt, 'base64')), NONCE);
  decipher.setAuthTag(Buffer.from(tag, 'base64'));
  const text = Buffer.concat([decipher.update(Buffer.from(data, 'base64')), decipher.final()]);
  return JSON.parse(text.toString('utf8')) as KeptAnswer;
}

const NONCE = Buffer.alloc(12);

function keyOf(token: string, salt: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', token, salt, 'strata: answer to an Idempotency-Key', 32));
}

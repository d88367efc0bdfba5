import { createHmac } from 'node:crypto';

/**
 * Value of the header `strata-signature`: `t=<seconds since 1970>,v1=<hex>`, where v1 is the HMAC-SHA-256 of
 * `<t>.<body>` under the webhook's secret. The time is signed so that a receiver can refuse an old recording.
 */
export function signatureOf(secret: string, body: string, now: Date): string {
  const seconds = Math.floor(now.getTime() / 1000);
  const mac = createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex');
  return `t=${seconds},v1=${mac}`;
}

/** A token as a request carried it. */
export interface Credentials {
  scheme: 'bearer' | 'basic';
  token: string;
}

/** Longer than any token; a longer header is not looked at. */
const LONGEST_HEADER = 1024;

/**
 * Reads `Authorization: Bearer <token>` (RFC 6750) or `Basic` (RFC 7617) with the token as password and any user name.
 * Undefined for anything else.
 */
export function readCredentials(header: string | undefined): Credentials | undefined {
  if (header === undefined || header.length > LONGEST_HEADER) return undefined;
  const match = /^(bearer|basic) +([A-Za-z0-9._~+/=-]+) *$/i.exec(header);
  const [scheme, value] = [match?.[1]?.toLowerCase(), match?.[2]];
  if (value === undefined) return undefined;
  if (scheme === 'bearer') return { scheme, token: value };
  const decoded = Buffer.from(value, 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  return colon < 0 ? undefined : { scheme: 'basic', token: decoded.slice(colon + 1) };
}

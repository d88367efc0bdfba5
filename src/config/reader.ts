import { resolve } from 'node:path';
import type { FieldError } from '../shared/errors.js';

/** Reads variables one by one and collects complaints, so that all of them can be told at once. */
export class Reader {
  readonly complaints: FieldError[] = [];

  constructor(private readonly env: NodeJS.ProcessEnv) {}

  complain(field: string, message: string): void {
    this.complaints.push({ field, message });
  }

  /** An empty variable counts as absent. */
  private raw(name: string): string | undefined {
    const value = this.env[name]?.trim();
    return value === '' ? undefined : value;
  }

  text(name: string, fallback: string): string {
    return this.raw(name) ?? fallback;
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.raw(name)?.toLowerCase();
    if (value === undefined) return fallback;
    if (['1', 'true', 'yes', 'on'].includes(value)) return true;
    if (['0', 'false', 'no', 'off'].includes(value)) return false;
    this.complain(name, 'is true or false');
    return fallback;
  }

  integer(name: string, fallback: number, least: number, most: number): number {
    const value = this.raw(name);
    if (value === undefined) return fallback;
    const number = Number(value);
    if (/^\d+$/.test(value) && number >= least && number <= most) return number;
    this.complain(name, `is a whole number from ${least} to ${most}`);
    return fallback;
  }

  oneOf<T extends string>(name: string, allowed: readonly T[], fallback: T): T {
    const value = this.raw(name);
    if (value === undefined) return fallback;
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined) this.complain(name, `is one of ${allowed.join(', ')}`);
    return found ?? fallback;
  }

  /** Comma-separated. */
  list(name: string, fallback: string[]): string[] {
    const value = this.raw(name);
    if (value === undefined) return fallback;
    return value
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
  }

  names(name: string, fallback: string[]): string[] {
    const items = this.list(name, fallback);
    if (items.length === 0 || items.some((item) => !/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/.test(item))) {
      this.complain(name, 'is a comma-separated list of names (A-Z a-z 0-9 _ . -)');
      return fallback;
    }
    return items;
  }

  paths(name: string, fallback: string[]): string[] {
    const items = this.list(name, fallback);
    const relative = items.find((item) => !item.startsWith('/'));
    if (relative === undefined) return items.map((item) => resolve(item));
    this.complain(name, `is a comma-separated list of absolute paths; ${relative} is relative`);
    return fallback;
  }

  url(name: string, protocols: string[]): string | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (URL.canParse(value) && protocols.includes(new URL(value).protocol)) return value;
    this.complain(
      name,
      `is a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
    );
    return undefined;
  }

  /** `10810-10899`, or one port. */
  portRange(name: string, fallback: { first: number; last: number }): { first: number; last: number } {
    const value = this.raw(name);
    if (value === undefined) return fallback;
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(value);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (match && first >= 1 && first <= last && last <= 65_535) return { first, last };
    this.complain(name, 'is a range of ports such as 10810-10899');
    return fallback;
  }

  address(name: string, fallback: string): { host: string; port: number } {
    const match = /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):(\d{1,5})$/.exec(this.raw(name) ?? fallback);
    const port = Number(match?.[2]);
    if (match?.[1] && port <= 65535) return { host: match[1].replace(/^\[|\]$/g, ''), port };
    this.complain(name, 'is host:port, such as 127.0.0.1:7420');
    return { host: '127.0.0.1', port: 0 };
  }
}

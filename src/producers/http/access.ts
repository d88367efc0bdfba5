import type { Role } from '../../entities/index.js';

/** Who may call a route; `anyone` needs no token. */
export type Access = Role | 'anyone';

const RANK: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 };

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may call it. Left out: whoever has a token may read, and only an admin may do anything else. */
    access?: Access;
  }
}

/** Pages that a browser opens: there the token may also be the password of HTTP Basic. */
const PAGES = ['/docs', '/queues'];

/** True for the pages and what they load. */
export function isPage(url: string): boolean {
  const path = url.split('?', 1)[0] ?? '';
  return PAGES.some((page) => path === page || path.startsWith(`${page}/`));
}

/** What a route asks for: as it says itself, otherwise by its method, on the safe side. */
export function accessOf(method: string, stated: Access | undefined): Access {
  if (stated !== undefined) return stated;
  return method === 'GET' || method === 'HEAD' ? 'viewer' : 'admin';
}

/** True when the role includes what is asked for. */
export function mayCall(role: Role, access: Role): boolean {
  return RANK[role] >= RANK[access];
}

/**
 * The real chain around endpoints that a test declares, with guards that say who is asking. For tests of the HTTP layer
 * itself; tests of endpoints go through the whole service (`server.ts`).
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Request } from 'express';
import { type Actor, ANONYMOUS, type StaffRole, type Tenant } from '../../lib/context';
import { type AppOptions, createApp } from '../../server/http/app';
import type { Guards } from '../../server/http/mount';
import { closeLater } from './closers';

export const TENANT: Tenant = {
  id: '00000000-0000-0000-0000-000000000001',
  slug: 'edgar-auto-shop',
  name: 'Test shop',
  timeZone: 'America/Los_Angeles',
};

export const staff = (role: StaffRole, id = `${role.toLowerCase()}-1`): Actor => ({
  kind: 'staff',
  id,
  role,
  name: role,
  sessionId: `session-of-${id}`,
});

/** `X-Actor: <role>` makes the caller staff of that role; `X-Via: cookie` says the session came by cookie. */
export const headerGuards: Guards = {
  authenticate: async (req: Request) => {
    const role = req.get('x-actor') as StaffRole | undefined;
    const via = role ? (req.get('x-via') === 'cookie' ? 'cookie' : 'bearer') : 'none';
    return {
      actor: role ? staff(role, req.get('x-actor-id')) : ANONYMOUS,
      via,
      sessionTenantId: role ? TENANT.id : null,
      failure: null,
      expiresAt: null,
      session: null,
    };
  },
  resolveTenant: async (_req, { actor }) => ({ tenant: TENANT, actor }),
};

/** A JSON body as tests look at it: any key, and an error to read from. */
export type Body = Record<string, unknown> & { error: { code: string; message: string; details?: Record<string, string> } };

export interface ChainServer {
  url: string;
  fetch: (path: string, init?: RequestInit) => Promise<Response>;
  port: number;
}

/** Serves until the end of the test file. */
export async function startChain(options: AppOptions): Promise<ChainServer> {
  const server = createServer(createApp({ guards: headerGuards, ...options }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closeLater(() => new Promise<void>((resolve) => void server.close(() => resolve()).closeAllConnections()));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  return { url, port, fetch: (path, init) => fetch(`${url}${path}`, init) };
}

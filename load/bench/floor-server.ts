/**
 * The floor: the least that can answer three reads of ours with the same bytes. A cluster of bare `node:http` servers over
 * `pg`: check the token's signature, run the service's own SQL for the token's tenant (scope and statement in one Sync), wrap
 * the JSON that SQL built. No framework, no router, no validation, no logs, no metrics, no session, no limits: what a request
 * costs beyond this is the price of everything that makes a service.
 */
import cluster from 'node:cluster';
import { createSecretKey, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import jwt from 'jsonwebtoken';
import pg from 'pg';
import { prepareScope, type Scope, ScopedQuery } from '../../lib/db-client';
import { APPOINTMENT_DRAWER } from '../../models/appointments.queries';
import { customerListSql } from '../../models/customer-lists.queries';
import { CUSTOMER_DETAIL_WITH_CHILDREN } from '../../models/customers.queries';

const { DATABASE_URL = '', JWT_SECRET = '', FLOOR_PORT = '0', WORKERS = '2', FLOOR_CONNECTIONS = '4' } = process.env;
const KEY = createSecretKey(JWT_SECRET, 'utf8');
const STATEMENT_TIMEOUT_MS = 30_000;
const PAGE_SIZE = 25;

interface Statement {
  name?: string;
  text: string;
}
interface Tenant {
  id: string;
  timezone: string;
}

class Connections {
  readonly #clients: { client: pg.Client; busy: number }[] = [];

  async open(count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      const client = new pg.Client({ connectionString: DATABASE_URL, application_name: 'floor' });
      await client.connect();
      await prepareScope(client, this.#scope(''));
      this.#clients.push({ client, busy: 0 });
    }
  }

  #scope(tenantId: string): Scope {
    return { tenantId, timeoutMs: STATEMENT_TIMEOUT_MS, role: null };
  }

  /** The client queues by itself, so the least busy one is all the pool there needs to be. */
  async rows<Row>(tenantId: string, { name, text }: Statement, values: unknown[]): Promise<Row[]> {
    const [first, ...others] = this.#clients;
    if (!first) throw new Error('No connection is open');
    const chosen = others.reduce((best, each) => (each.busy < best.busy ? each : best), first);
    chosen.busy += 1;
    try {
      return await new Promise<Row[]>((resolve, reject) => {
        const statement = { ...(name ? { name } : {}), text, values };
        const query = new ScopedQuery(this.#scope(tenantId), statement, (error, result) =>
          error ? reject(error) : resolve(result.rows as Row[]),
        );
        chosen.client.query(query as unknown as pg.Query);
      });
    } finally {
      chosen.busy -= 1;
    }
  }
}

interface Payload {
  data: string;
  /** Further members of `meta`, with a leading comma. */
  meta?: string;
}
type Read = (connections: Connections, tenant: Tenant, match: RegExpExecArray) => Promise<Payload | undefined>;

const LIST = customerListSql({ sort: 'created_desc', filter: 'all', searching: false });

/** Path -> the service's own statement and what it takes to make the same `data` of it. */
const READS: readonly (readonly [RegExp, Read])[] = [
  [
    /^\/api\/admin\/customers$/,
    async (connections, { id }) => {
      const [row] = await connections.rows<{ total: string; items: string }>(id, LIST, [id, PAGE_SIZE, 0]);
      const total = Number(row?.total ?? 0);
      const page = `"page":1,"page_size":${PAGE_SIZE},"total":${total},"total_pages":${Math.ceil(total / PAGE_SIZE)}`;
      return { data: `{"items":${row?.items ?? '[]'},${page}}`, meta: `,"pagination":{${page}}` };
    },
  ],
  [
    /^\/api\/appointments\/(\d+)$/,
    async (connections, { id }, [, appointment]) => {
      const [row] = await connections.rows<{ json: string }>(id, APPOINTMENT_DRAWER, [id, appointment]);
      return row && { data: row.json };
    },
  ],
  [
    /^\/api\/admin\/customers\/(\d+)\?include=appointmentDetails$/,
    async (connections, { id, timezone }, [, customer]) => {
      const [row] = await connections.rows<{ json: string }>(id, CUSTOMER_DETAIL_WITH_CHILDREN, [id, customer, new Date(), timezone]);
      return row && { data: row.json };
    },
  ],
];

function tenantOf(authorization: string | undefined, tenants: ReadonlyMap<string, Tenant>): Tenant | undefined {
  try {
    const claims = jwt.verify(authorization?.slice('Bearer '.length) ?? '', KEY, { algorithms: ['HS256'] });
    return typeof claims === 'object' ? tenants.get(String(claims['tenant_id'])) : undefined;
  } catch (error) {
    if (error instanceof jwt.JsonWebTokenError) return undefined;
    throw error;
  }
}

async function serve(): Promise<void> {
  const connections = new Connections();
  await connections.open(Number(FLOOR_CONNECTIONS));
  const rows = await connections.rows<Tenant>('', { text: 'SELECT id, timezone FROM tenants' }, []);
  const tenants = new Map(rows.map((tenant) => [tenant.id, tenant]));
  const answer = async (url: string, authorization: string | undefined, requestId: string): Promise<[number, string]> => {
    const tenant = tenantOf(authorization, tenants);
    if (!tenant) return [401, '{}'];
    for (const [path, read] of READS) {
      const match = path.exec(url);
      const payload = match && (await read(connections, tenant, match));
      if (!payload) continue;
      const { data, meta = '' } = payload;
      return [200, `{"ok":true,"data":${data},"error":null,"correlation_id":"${requestId}","meta":{"request_id":"${requestId}"${meta}}}`];
    }
    return [404, '{}'];
  };
  const server = createServer((req, res) => {
    const requestId = randomUUID();
    answer(req.url ?? '', req.headers.authorization, requestId).then(
      ([status, body]) => {
        res.writeHead(status, {
          'Content-Type': 'application/json; charset=utf-8',
          'Content-Length': Buffer.byteLength(body),
          'X-Request-Id': requestId,
        });
        res.end(body);
      },
      (error: unknown) => {
        console.error(error);
        res.writeHead(500).end('{}');
      },
    );
  });
  server.listen(Number(FLOOR_PORT), '127.0.0.1');
}

async function supervise(): Promise<void> {
  const workers = Array.from({ length: Number(WORKERS) }, () => cluster.fork());
  cluster.on('exit', (_, code) => process.exit(code || 1));
  process.once('SIGTERM', () => process.exit(0));
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('listening', resolve))));
  console.log(JSON.stringify({ event: 'ready' }));
}

(cluster.isPrimary ? supervise() : serve()).catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});

/**
 * The operations listener, served by the primary on its own port (loopback by default): what the whole cluster does, from
 * what the workers have pushed. It asks nobody, so a stuck worker cannot hold up an answer.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import type { OpsDocument } from '../../lib/cluster-ports';
import { log } from '../../lib/log';
import { buildMetrics } from './metrics';
import { renderPage } from './page';
import { checksOf, type ReadinessChecks, readinessOf } from './readiness';
import { alerts, buildStats, clusterState, type StatsSource } from './stats';
import { Stats } from './stats.schema';
import { windowSeconds } from './window-parameter';

const JSON_TYPE = 'application/json; charset=utf-8';
const HTML_TYPE = 'text/html; charset=utf-8';

const json = (body: unknown, status = 200): OpsDocument => ({ status, contentType: JSON_TYPE, body: JSON.stringify(body) });

export class OpsDocuments {
  readonly #source: StatsSource;
  #schema: string | undefined;

  constructor(source: StatsSource) {
    this.#source = source;
  }

  stats(seconds: number): OpsDocument {
    return json(buildStats(this.#source, seconds));
  }

  page(seconds: number): OpsDocument {
    return { status: 200, contentType: HTML_TYPE, body: renderPage(buildStats(this.#source, seconds)) };
  }

  schema(): OpsDocument {
    this.#schema ??= JSON.stringify(z.toJSONSchema(Stats));
    return { status: 200, contentType: 'application/schema+json', body: this.#schema };
  }

  async metrics(openMetrics: boolean): Promise<OpsDocument> {
    return { status: 200, ...(await buildMetrics(this.#source, openMetrics)) };
  }

  alerts(): OpsDocument {
    return json({ generated_at: new Date().toISOString(), alerts: alerts(this.#source) });
  }

  /**
   * The readiness of the whole, told by the primary: when no worker is left, nobody answers on the public port. What the database does it
   * knows from the workers' reports, so up to two seconds later than they.
   */
  ready(): OpsDocument {
    const { supervisor, config, now, stopping } = this.#source;
    const moment = now();
    const serving = supervisor.workers.filter(({ state }) => state === 'ready');
    const awake = serving.filter((worker) => !worker.isUnresponsive(moment));
    const state = clusterState({ supervisor });
    const checks: ReadinessChecks = {
      // A worker that hangs knows only what once was.
      ...checksOf(
        (awake.length > 0 ? awake : serving).flatMap(({ report }) => report ?? []),
        config,
      ),
      workers: supervisor.isWhole && !supervisor.breaker.open,
      draining: stopping() || state === 'draining',
    };
    const status = serving.length === 0 || state === 'starting' ? 'not-ready' : readinessOf(checks);
    const body = { status, workers_ready: supervisor.ready, workers_target: supervisor.target, checks };
    return json(body, status === 'not-ready' ? 503 : 200);
  }

  healthDetailed(): OpsDocument {
    const { supervisor, now } = this.#source;
    const state = clusterState(this.#source);
    const stats = buildStats(this.#source, 60);
    const databases = supervisor.children.flatMap(({ report }) => (report?.db ? [report.db] : []));
    const moment = now();
    return json({
      status: state === 'ready' && stats.db.primary.status === 'up' ? 'ok' : 'degraded',
      timestamp: stats.generated_at,
      service: stats.service,
      cluster: { state, workers_ready: supervisor.ready, workers_target: supervisor.target, breaker_open: supervisor.breaker.open },
      database: {
        status: stats.db.primary.status,
        latency_ms: stats.db.primary.latency,
        max_connections: stats.db.budget.server_max,
        pending_migrations: databases.find(({ pending_migrations }) => pending_migrations !== null)?.pending_migrations ?? null,
        pool: stats.db.primary.pool,
        budget: stats.db.budget,
      },
      resources: stats.resources,
      workers: supervisor.workers.map((worker) => ({
        slot: worker.slot,
        pid: worker.pid,
        state: worker.state,
        unresponsive: worker.isUnresponsive(moment),
        database: worker.report?.db?.status ?? null,
        event_loop_lag_p99_ms: worker.report?.lag_p99 ?? null,
        rss: worker.report?.rss ?? null,
      })),
      last_exit: stats.cluster.last_exit,
    });
  }
}

function prefersHtml(accept: string): boolean {
  const html = accept.indexOf('text/html');
  const asJson = accept.indexOf('application/json');
  return html !== -1 && (asJson === -1 || html < asJson);
}

async function route(documents: OpsDocuments, request: IncomingMessage): Promise<OpsDocument> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://ops');
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return json({ error: { code: 'method_not_allowed', message: 'Method not allowed' } }, 405);
  const accept = request.headers.accept ?? '';
  const seconds = windowSeconds(searchParams.get('window'));
  switch (pathname) {
    case '/stats':
      return prefersHtml(accept) ? documents.page(seconds) : documents.stats(seconds);
    case '/stats/schema':
      return documents.schema();
    case '/metrics':
      return documents.metrics(accept.includes('application/openmetrics-text'));
    case '/ready':
      return documents.ready();
    case '/health-detailed':
      return documents.healthDetailed();
    case '/alerts':
      return documents.alerts();
    default:
      return json({ error: { code: 'not_found', message: 'Not found' } }, 404);
  }
}

async function answer(documents: OpsDocuments, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let document: OpsDocument;
  try {
    document = await route(documents, request);
  } catch (error) {
    log.error('an operations document could not be built', { path: request.url, error });
    document = json({ error: { code: 'internal', message: 'An unexpected internal server error occurred.' } }, 500);
  }
  response.writeHead(document.status, {
    'Content-Type': document.contentType,
    'Content-Length': Buffer.byteLength(document.body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'",
  });
  response.end(request.method === 'HEAD' ? undefined : document.body);
}

export interface OpsListener {
  host: string;
  port: number;
  close(): Promise<void>;
}

/** @throws the listen error (EADDRINUSE and the like) */
export function openOpsListener(documents: OpsDocuments, host: string, port: number): Promise<OpsListener> {
  const server: Server = createServer((request, response) => void answer(documents, request, response));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      server.on('error', (error) => log.error('the operations listener failed', { error }));
      const address = server.address() as AddressInfo;
      resolve({
        host: address.address,
        port: address.port,
        close: () =>
          new Promise((closed) => {
            server.close(() => closed());
            server.closeAllConnections();
          }),
      });
    });
  });
}

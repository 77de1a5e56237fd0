/**
 * The HTTP server of a worker: node's limits against slow and endless clients, checked each second; bounds on connections; and
 * answers in the envelope for what never becomes a request. The same whether the worker listens itself or is given its connections.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { config } from '../../config';
import { metrics } from '../../lib/metrics';
import { lifecycle } from '../lifecycle';
import { NO_ROOM, type Refusal, refusalParts, refuseConnection } from './raw-answer';

const HTTP_LIMITS = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 1_000,
  keepAliveTimeout: config.KEEP_ALIVE_TIMEOUT * 1000,
  // Refused here, in the envelope, with the other faults of a Host.
  requireHostHeader: false,
} as const;

/** Random addition to the requests of one connection, so that connections made together do not end together. */
const SOCKET_JITTER = 0.1;

const badRequest = (message: string): Refusal => ({ status: 400, code: 'bad_request', message });
const MALFORMED = badRequest('Malformed HTTP');
const BY_CODE: Readonly<Record<string, Refusal>> = {
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, code: 'request_timeout', message: 'The request did not arrive in time' },
  HPE_HEADER_OVERFLOW: { status: 431, code: 'headers_too_large', message: 'The request headers are too large' },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { status: 413, code: 'payload_too_large', message: 'The chunk extensions are too large' },
};
const NO_EXPECTATION: Refusal = { status: 417, code: 'expectation_failed', message: 'The expectation cannot be met' };
const NO_PROXY: Refusal = { status: 405, code: 'method_not_allowed', message: 'This is no proxy' };

export interface ConnectionBounds {
  /** Connections at once. */
  max: number;
  /** Of one address; 0 = any number. */
  maxPerAddress: number;
  /** Requests after which a connection is closed, so that long-lived ones are spread anew; 0 = any number. */
  maxRequests: number;
}

export function createHttpServer(listener: RequestListener, bounds: ConnectionBounds): Server {
  const requests = new RequestBound(bounds.maxRequests);
  const server = createServer(HTTP_LIMITS, (request, response) => {
    if (!requests.mayStart(request.socket, response)) return;
    const refusal = faultOf(request);
    if (refusal) refuse(response, refusal, requests);
    else listener(request, response);
  });
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => refuse(response, NO_EXPECTATION, requests));
  server.on('connect', (_request: IncomingMessage, socket: Socket) => cut(socket, NO_PROXY));
  server.on('clientError', onClientError);
  server.on('timeout', endIfSilent);
  boundConnections(server, bounds);
  return server;
}

/** Which requests of a connection may start: none behind one whose answer announces the end of the connection. */
class RequestBound {
  readonly #left = new WeakMap<Socket, number>();
  readonly #max: number;

  /** @param max 0 = any number */
  constructor(max: number) {
    this.#max = max;
  }

  mayStart(socket: Socket, response: ServerResponse): boolean {
    const left = this.#left.get(socket) ?? this.#first();
    // An answer that announced the end has begun, so this one would be worked out for nobody; its client sends it again elsewhere.
    if (left <= 0 || lifecycle.isOver(socket)) return false;
    this.#left.set(socket, left - 1);
    // Said outright: of an answer that only may not keep its connection the lifecycle of the process decides anew.
    if (left === 1) response.setHeader('Connection', 'close');
    return true;
  }

  close(socket: Socket): void {
    this.#left.set(socket, 0);
  }

  #first(): number {
    return this.#max === 0 ? Number.POSITIVE_INFINITY : this.#max + Math.floor(Math.random() * (Math.floor(this.#max * SOCKET_JITTER) + 1));
  }
}

const HOST = /^(?:[\w.~!$&'()*+,;=%-]*|\[[\da-fA-F:.]+\])(?::\d{0,5})?$/;

/** What a cache or proxy in front might read differently: hosts that contradict each other, versions and framing of other times. */
function faultOf({ rawHeaders, headers, httpVersion }: IncomingMessage): Refusal | undefined {
  const modern = httpVersion === '1.1';
  if (!modern && httpVersion !== '1.0') return badRequest('HTTP/1.1 is spoken here');
  let hosts = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) if (/^host$/i.test(rawHeaders[index] as string)) hosts += 1;
  if (hosts > 1 || (hosts === 0 && modern)) return badRequest('Exactly one Host header is needed');
  if (headers.host !== undefined && !HOST.test(headers.host)) return badRequest('The Host header is malformed');
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && (!modern || coding.toLowerCase() !== 'chunked')) return badRequest('Transfer-Encoding must be chunked');
  return undefined;
}

function refuse(response: ServerResponse, refusal: Refusal, requests: RequestBound): void {
  const { headers, body } = refusalParts(refusal);
  metrics.clientErrors.inc({ status: refusal.status });
  requests.close(response.req.socket);
  response.writeHead(refusal.status, headers).end(body);
}

function cut(socket: Socket, refusal: Refusal): void {
  metrics.clientErrors.inc({ status: refusal.status });
  refuseConnection(socket, refusal);
}

/** What is not HTTP, or comes too slowly. Answers that are still due on the connection go first, and then it ends. */
function onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  // Cut already: more of the same arrives while the client reads why.
  if (socket.writableEnded) return;
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy(error);
    return;
  }
  const due = lifecycle.answersOn(socket);
  const last = due.at(-1);
  if (!last) cut(socket, BY_CODE[error.code ?? ''] ?? MALFORMED);
  else if (due.length === 1 && !last.headersSent && !last.req.complete) {
    // The fault is in the body of this one, whose handler waits for it in vain.
    cut(socket, BY_CODE[error.code ?? ''] ?? MALFORMED);
  } else if (last.req.complete) {
    last.shouldKeepAlive = false;
    last.once('close', () => socket.destroySoon());
  } else socket.destroySoon();
}

/** After a pause of the whole process timers come first: a request that arrived meanwhile is in the socket, and read in this turn. */
function endIfSilent(socket: Socket): void {
  const before = socket.bytesRead;
  setImmediate(() => {
    if (socket.bytesRead === before) socket.destroy();
  });
}

/** Puts a guard before the server's own listener, which a connection that is refused never reaches. */
function boundConnections(server: Server, { max, maxPerAddress }: ConnectionBounds): void {
  const [serve] = server.listeners('connection') as ((socket: Socket) => void)[];
  if (!serve) throw new Error('An http.Server without a listener for connections');
  server.removeAllListeners('connection');
  const byAddress = new Map<string, number>();
  let held = 0;
  server.on('connection', (socket: Socket) => {
    const address = maxPerAddress > 0 ? (socket.remoteAddress ?? '') : '';
    const ofAddress = byAddress.get(address) ?? 0;
    if (held >= max || (maxPerAddress > 0 && ofAddress >= maxPerAddress)) {
      cut(socket, NO_ROOM);
      return;
    }
    held += 1;
    if (maxPerAddress > 0) byAddress.set(address, ofAddress + 1);
    socket.once('close', () => {
      held -= 1;
      if (maxPerAddress === 0) return;
      const rest = (byAddress.get(address) ?? 1) - 1;
      if (rest > 0) byAddress.set(address, rest);
      else byAddress.delete(address);
    });
    serve.call(server, socket);
  });
}

/**
 * The life of this process as the HTTP layer sees it: which requests are in flight, on which sockets, whether the process
 * is a lame duck, and in which order things are closed at the end.
 *
 * A lame duck accepts no new connection, but does not close idle ones: a client may be sending its next request on one
 * right now, and closing would reset it. It answers whatever still comes with `Connection: close` (of several requests sent at once,
 * the last), waits longer than the keep-alive time it advertised, and only then ends sockets that have been silent.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { breadcrumbs, type Crumb, NO_CRUMB } from '../lib/breadcrumbs';
import { log } from '../lib/log';
import { endLongLived } from '../lib/long-lived';

interface Flight {
  readonly startedAt: number;
  /** The same facts for the watchdog thread, which cannot read this object. */
  readonly crumb: Crumb;
  /** Its answer is the last of its connection, because the process drains or lets go of the connection. */
  closes: boolean;
  requestId: string | null;
  route: string | null;
}

interface Connection {
  active: number;
  /** The answer to what came last; the others of a pipeline go before it. */
  newest: ServerResponse | null;
  /** An answer has begun that says it is the last: node ends the connection behind it. */
  over: boolean;
  /** Bytes received when it last became idle: more than these means that a request is on its way. */
  bytesWhenIdle: number;
  idleSince: number;
  /** We have closed our side; the peer may take its time. */
  ended: boolean;
  /** It is to end with its next answer, because other workers hold fewer. */
  goes: boolean;
}

export interface LameDuckOptions {
  /**
   * How long idle sockets are left alone, from the beginning on and after each answer; at least the advertised keep-alive time + 1 s while
   * others take over. An answer whose head was sent before the drain has promised it too.
   */
  idleGraceMs: number;
  /** From then on, counted from the beginning, nothing is left alone for longer than `silentMs`. */
  promisesMs?: number;
  /** A socket must have been silent for this long before it is ended, also without that grace. */
  silentMs?: number;
  /** One that has sent a part of a request is left alone for so much longer. */
  halfRequestMs?: number;
  /** Give up waiting (the caller decides what happens to the rest). */
  limitMs?: number;
  /**
   * Where nobody takes over: go on accepting for at most this long, until a moment passes without a new connection. Clients
   * that connected before the stop may still wait to be taken, and closing the listener resets them.
   */
  acceptMs?: number;
  /** Where somebody else gives connections to this process: it takes them until this resolves. */
  accepting?: Promise<void> | undefined;
}

interface Closer {
  name: string;
  close: () => unknown;
  limitMs: number;
}

const POLL_MS = 50;
/** Polls without a new connection after which nobody is taken to wait: several, for one may come before what is due is read. */
const QUIET_POLLS = 3;
const SILENT_MS = 1_000;
const HALF_REQUEST_MS = 5_000;

export class Lifecycle {
  readonly #flights = new Map<ServerResponse, Flight>();
  readonly #connections = new Map<Socket, Connection>();
  readonly #closers: Closer[] = [];
  #servers: Server[] = [];
  #whenFinished: (finished: number) => void = () => undefined;
  #draining = false;
  #started = 0;
  #finished = 0;
  #inFlightMax = 0;
  #accepted = 0;

  get draining(): boolean {
    return this.#draining;
  }

  get inFlight(): number {
    return this.#flights.size;
  }

  /** The most requests in flight at once since the previous call. */
  takeInFlightMax(): number {
    const max = this.#inFlightMax;
    this.#inFlightMax = this.#flights.size;
    return max;
  }

  /** Requests whose answer has ended, in whatever way. */
  get finished(): number {
    return this.#finished;
  }

  /** `tell` is called after each answer that has ended, with their number so far. One listener. */
  onFinished(tell: (finished: number) => void): void {
    this.#whenFinished = tell;
  }

  get started(): number {
    return this.#started;
  }

  get connections(): { live: number; idle: number } {
    let idle = 0;
    for (const { active } of this.#connections.values()) if (active === 0) idle += 1;
    return { live: this.#connections.size, idle };
  }

  /** Counts every request and connection of `server`. Call before it listens; the listener is put first. */
  attach(server: Server): void {
    this.#servers.push(server);
    server.on('connection', (socket: Socket) => {
      this.#accepted += 1;
      this.#connections.set(socket, {
        active: 0,
        newest: null,
        over: false,
        bytesWhenIdle: 0,
        idleSince: performance.now(),
        ended: false,
        goes: false,
      });
      socket.once('close', () => this.#forget(socket));
    });
    server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => this.#begin(request.socket, response));
  }

  /** Names a request in flight, for the stats and for the evidence when it never ends. */
  describe(response: ServerResponse, { requestId, route }: { requestId?: string; route?: string }): void {
    const flight = this.#flights.get(response);
    if (!flight) return;
    if (requestId !== undefined) {
      flight.requestId = requestId;
      breadcrumbs.setId(flight.crumb, requestId);
    }
    if (route !== undefined) {
      flight.route = route;
      breadcrumbs.setRoute(flight.crumb, route);
    }
  }

  crumbOf(response: ServerResponse): Crumb {
    return this.#flights.get(response)?.crumb ?? NO_CRUMB;
  }

  /** The longest running requests, longest first. */
  longest(count: number): { id: string | null; route: string | null; ms: number }[] {
    const now = performance.now();
    const found: { id: string | null; route: string | null; ms: number }[] = [];
    // Insertion order is order of arrival.
    for (const { requestId, route, startedAt } of this.#flights.values()) {
      if (found.length >= count) break;
      found.push({ id: requestId, route, ms: Math.round(now - startedAt) });
    }
    return found;
  }

  /** Answers that are due on a connection, the first first. */
  answersOn(socket: Socket): ServerResponse[] {
    if (!this.#connections.get(socket)?.active) return [];
    return [...this.#flights.keys()].filter(({ req }) => req.socket === socket);
  }

  /** Nothing that comes on this connection will be answered any more: what was sent before says that it is the last, or we have ended it. */
  isOver(socket: Socket): boolean {
    const connection = this.#connections.get(socket);
    return connection !== undefined && (connection.over || connection.ended);
  }

  /**
   * Lets go of `count` connections, each with the next answer that begins, because other workers hold fewer. Replaces the number before: who was chosen
   * for that and is still here counts. Chosen at random: by who asks next, it would be the busiest, and where they went all the work.
   */
  release(count: number): void {
    if (this.#draining) return;
    // Not one that is sending an answer, which may go on for hours: what that says of the connection is said.
    const open = [...this.#connections.values()].filter(
      ({ over, ended, active, newest }) => !over && !ended && (active === 0 || newest?.headersSent === false),
    );
    const chosen = open.filter(({ goes }) => goes);
    for (const connection of chosen.slice(count)) {
      connection.goes = false;
      if (connection.newest) this.#keepOpen(connection.newest);
    }
    const others = open.filter(({ goes }) => !goes);
    for (let missing = count - chosen.length; missing > 0 && others.length > 0; missing -= 1)
      for (const connection of others.splice(Math.floor(Math.random() * others.length), 1)) {
        connection.goes = true;
        if (connection.newest) this.#closeAfter(connection.newest);
      }
  }

  /** Ends the connection of a request that can no longer be answered, because the code that served it has crashed. */
  abandon(requestId: string): void {
    for (const [response, flight] of this.#flights) if (flight.requestId === requestId) response.destroy();
  }

  /** Something to close at the end. Closers run one after another, the one registered last first. */
  onShutdown(name: string, close: () => unknown, limitMs = 5_000): void {
    this.#closers.push({ name, close, limitMs });
  }

  /**
   * Stops accepting and waits until every request is answered and every connection has ended.
   * Resolves with false when `limitMs` passed first.
   */
  async lameDuck({
    idleGraceMs,
    promisesMs = Number.POSITIVE_INFINITY,
    silentMs = SILENT_MS,
    halfRequestMs = HALF_REQUEST_MS,
    limitMs = Number.POSITIVE_INFINITY,
    acceptMs = 0,
    accepting,
  }: LameDuckOptions): Promise<boolean> {
    const since = performance.now();
    this.#announceEnd();
    if (accepting) await accepting;
    else if (acceptMs > 0) await this.#takeWaiting(acceptMs);
    this.#stopAccepting();
    // A request that began while the listener was open may still be on its way, on a connection that seems silent.
    const quietFrom = Math.max(since + idleGraceMs, performance.now() + silentMs);
    while (performance.now() - since < limitMs) {
      if (performance.now() >= quietFrom) {
        // After a pause of the whole process: what arrived meanwhile is read first.
        await nextTurn();
        const promised = performance.now() - since < promisesMs ? idleGraceMs : 0;
        this.#endSilent(Math.max(promised, silentMs), halfRequestMs);
      }
      if (this.#flights.size === 0 && this.#allEnded()) return true;
      await delay(POLL_MS);
    }
    return false;
  }

  /** Runs the closers. One that fails or hangs is logged and does not keep the others from running. */
  async shutdown(): Promise<void> {
    for (const { name, close, limitMs } of this.#closers.splice(0).reverse()) {
      const timer = new AbortController();
      const late = delay(limitMs, 'late' as const, { signal: timer.signal, ref: false }).catch(() => 'cancelled' as const);
      try {
        const outcome = await Promise.race([Promise.resolve(close()).then(() => 'closed' as const), late]);
        if (outcome === 'late') log.error('closing took too long', { closer: name, limit_ms: limitMs });
      } catch (error) {
        log.error('closing failed', { closer: name, error });
      } finally {
        timer.abort();
      }
    }
  }

  #begin(socket: Socket, response: ServerResponse): void {
    const connection = this.#connections.get(socket);
    this.#started += 1;
    const startedAt = performance.now();
    const crumb = breadcrumbs.enter(startedAt);
    this.#flights.set(response, { startedAt, crumb, closes: false, requestId: null, route: null });
    if (this.#flights.size > this.#inFlightMax) this.#inFlightMax = this.#flights.size;
    const before = connection?.newest ?? null;
    if (connection) {
      connection.active += 1;
      connection.newest = response;
      // It came while we ended the connection: answered into the void, it would be carried out again when its client asks elsewhere.
      if (connection.ended) socket.destroy();
      if (before?.headersSent && !before.shouldKeepAlive) connection.over = true;
    }
    if (this.#draining || connection?.goes) {
      if (before) this.#keepOpen(before);
      this.#closeAfter(response);
    }
    response.once('close', () => {
      this.#flights.delete(response);
      breadcrumbs.leave(crumb);
      this.#finished += 1;
      if (connection) {
        if (connection.newest === response) connection.newest = null;
        connection.active -= 1;
        connection.bytesWhenIdle = socket.bytesRead;
        connection.idleSince = performance.now();
      }
      this.#whenFinished(this.#finished);
    });
  }

  #forget(socket: Socket): void {
    const due = this.answersOn(socket);
    this.#connections.delete(socket);
    if (due.length === 0) return;
    // Node tells the answer that was being sent, but not those that waited behind it on the same connection.
    process.nextTick(() => {
      for (const response of due) if (this.#flights.has(response)) response.emit('close');
    });
  }

  #announceEnd(): void {
    this.#draining = true;
    endLongLived();
    for (const { newest } of this.#connections.values()) if (newest) this.#closeAfter(newest);
  }

  /** Node writes `Connection: close` for a response that may not keep its connection, and ends the connection behind it. */
  #closeAfter(response: ServerResponse): void {
    const flight = this.#flights.get(response);
    if (!flight || response.headersSent || !response.shouldKeepAlive) return;
    response.shouldKeepAlive = false;
    flight.closes = true;
  }

  /** Another request came behind this one before its answer had begun: that one is to be the last. */
  #keepOpen(response: ServerResponse): void {
    const flight = this.#flights.get(response);
    if (!flight?.closes || response.headersSent) return;
    response.shouldKeepAlive = true;
    flight.closes = false;
  }

  async #takeWaiting(limitMs: number): Promise<void> {
    const since = performance.now();
    let quiet = 0;
    while (quiet < QUIET_POLLS && performance.now() - since < limitMs) {
      const before = this.#accepted;
      await delay(POLL_MS);
      quiet = this.#accepted === before ? quiet + 1 : 0;
    }
  }

  #stopAccepting(): void {
    // http.Server.close would also close idle connections; only the listening is to end.
    for (const server of this.#servers) if (server.listening) NetServer.prototype.close.call(server);
  }

  #allEnded(): boolean {
    for (const { ended } of this.#connections.values()) if (!ended) return false;
    return true;
  }

  #endSilent(silentMs: number, halfRequestMs: number): void {
    const now = performance.now();
    for (const [socket, connection] of this.#connections) {
      if (connection.active > 0 || now - connection.idleSince < silentMs) continue;
      const receiving = socket.bytesRead > connection.bytesWhenIdle;
      // Half a request that does not become whole is not worth waiting for for ever.
      if (receiving && now - connection.idleSince < silentMs + halfRequestMs) continue;
      connection.ended = true;
      socket.end();
    }
  }
}

/** The one of this process. */
export const lifecycle = new Lifecycle();

export const isDraining = (): boolean => lifecycle.draining;

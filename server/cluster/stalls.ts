/**
 * The primary's view of blocked event loops: reads what the watchdog threads say, keeps it with the worker concerned, and logs
 * how each stall ended. It kills nobody: that is the deadline's business (`WORKER_TIMEOUT`), which may wait a moment for evidence.
 */
import type { Readable } from 'node:stream';
import { log } from '../../lib/log';
import type { Blame, StallKind } from './stall-kind';
import { EVIDENCE_MS, STUCK_MS } from './watchdog-limits';
import { parseLine, type WatchdogLine } from './watchdog-lines';

/** One stall, as far as it is known. */
export interface Stall {
  /** When it began, ISO. */
  at: string;
  /** How long it lasted, or has lasted when last heard of. */
  ms: number;
  kind: StallKind | null;
  route: string | null;
  request_id: string | null;
  /** How sure the request is, see `stall-kind.ts`. */
  source: Blame['source'] | null;
  /** Innermost frame first; empty for native code. */
  stack: string[];
  artefact: string | null;
}

/** What is known of the stalls of one process; kept on its handle, so that it goes with it. */
export class StallRecord {
  #count = 0;
  #last: Stall | null = null;
  #since: number | null = null;
  #evidenceUntil = Number.NEGATIVE_INFINITY;
  #number = 0;

  get count(): number {
    return this.#count;
  }

  get last(): Stall | null {
    return this.#last;
  }

  /** When the stall that lasts began, on the primary's clock; null while the loop turns. */
  get since(): number | null {
    return this.#since;
  }

  /** It has stood still for so long that it is given no new connection. */
  isStuck(now: number): boolean {
    return this.#since !== null && now - this.#since >= STUCK_MS;
  }

  /** Evidence is being taken: a kill now would lose it. */
  isTakingEvidence(now: number): boolean {
    return now < this.#evidenceUntil;
  }

  /** @returns true when the line ended a stall */
  apply(line: WatchdogLine, now: number): boolean {
    // Evidence of a stall that is over and was followed by another says nothing about that.
    if (line.stall < this.#number) return false;
    switch (line.type) {
      case 'blocked':
      case 'stuck':
        if (line.stall !== this.#number || !this.#last) this.#begin(line, now);
        else this.#last.ms = line.ms;
        this.#blame(line.request);
        if (line.type === 'stuck') this.#evidenceUntil = now + EVIDENCE_MS;
        return false;
      case 'evidence':
        if (!this.#last) return false;
        this.#blame(line.request);
        Object.assign(this.#last, { kind: line.kind, stack: line.stack, artefact: line.artefact });
        if (line.complete) this.#evidenceUntil = now;
        return false;
      case 'freed':
        if (!this.#last || this.#since === null) return false;
        this.#last.ms = line.ms;
        this.#since = null;
        return true;
    }
  }

  #begin({ stall, ms }: { stall: number; ms: number }, now: number): void {
    this.#number = stall;
    this.#count += 1;
    this.#since = now - ms;
    const at = new Date(Date.now() - ms).toISOString();
    this.#last = { at, ms, kind: null, route: null, request_id: null, source: null, stack: [], artefact: null };
  }

  #blame(request: Blame | null): void {
    if (this.#last && request) Object.assign(this.#last, { route: request.route, request_id: request.id, source: request.source });
  }
}

/** The part of a worker's handle that is used here. */
export interface Stalling {
  readonly id: string;
  readonly kind: 'http' | 'jobs';
  readonly slot: number;
  readonly pid: number;
  readonly stalls: StallRecord;
}

const MAX_LINE = 256 * 1024;

/**
 * Follows the pipe of one watchdog thread to its end.
 * @param find the handle of that process; there is none yet when the pipe is opened
 */
export function followStalls(
  pipe: Readable | null | undefined,
  find: () => Stalling | undefined,
  now: () => number = () => performance.now(),
): void {
  if (!pipe) return;
  let rest = '';
  pipe.setEncoding('utf8');
  pipe.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_LINE) rest = '';
    for (const text of lines) {
      const line = parseLine(text);
      const worker = line && find();
      if (line && worker) hear(worker, line, now());
    }
  });
  // The pipe of a killed child may end in an error instead of an end.
  pipe.on('error', () => pipe.destroy());
}

function hear(worker: Stalling, line: WatchdogLine, now: number): void {
  const healed = worker.stalls.apply(line, now);
  const { id, kind, slot, pid, stalls } = worker;
  const fields = { worker: id, process: kind, slot, worker_pid: pid, ...stalls.last };
  if (healed) log.warn('event loop was blocked', fields);
  else if (line.type === 'stuck') log.warn('event loop is blocked', { ...fields, in_flight: line.in_flight });
  else if (line.type === 'evidence' && line.problem !== null)
    log.error('evidence of a stall is incomplete', { ...fields, problem: line.problem });
}

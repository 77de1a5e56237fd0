/**
 * The thread that watches the event loop of its process. It must work while that loop stands still, so it uses nothing that
 * passes through it: no process.send, no process.stderr, no log; only shared memory, synchronous files and the pipe that the
 * primary opened for it. It also sees to it that the process never outlives its primary: a blocked loop cannot.
 */
import { writeFileSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { CrumbReader, type CrumbReading } from '../../lib/breadcrumbs';
import { type Frame, Investigation } from './evidence';
import { EvidenceFolder, type EvidenceLimits, evidenceName } from './evidence-folder';
import { killDescendants } from './process-tree';
import { blame, type StallKind, stallKind } from './stall-kind';
import { type StallNews, StallWatch } from './stall-watch';
import { ARMED, BEAT_MS, LEAVING, LOOK_MS, STUCK_MS, WARN_MS, WATCHDOG_THREAD_NAME } from './watchdog-limits';
import type { WatchdogLine } from './watchdog-lines';

export interface ThreadData {
  memory: SharedArrayBuffer;
  /** Where lines go. Standard error takes them in the shape of log lines. */
  fd: number;
  /** Killed when this is no longer its parent; null for a process that has no primary. */
  primary: number | null;
  projectRoot: string;
  /** The same moment on the writer's clock and on the one that all threads share. */
  clock: { writer: number; shared: bigint };
}

/** What the process knows only when its configuration is loaded. Without it the thread does no more than watch the parent. */
export interface Equipment {
  kind: 'http' | 'jobs';
  folder: string;
  limits: EvidenceLimits;
  version: string;
}

const PAUSE_MS = 500;
/** The parent is looked at with every fifth look: four times a second. */
const LOOKS_FOR_PARENT = 5;
const SHOWN = 50;
const FRAMES_TOLD = 20;

const STDERR = 2;

class WatchdogThread {
  readonly #data: ThreadData;
  readonly #crumbs: CrumbReader;
  readonly #watch: StallWatch;
  #equipment: Equipment | null = null;
  #stalls = 0;
  #investigation: Investigation | null = null;
  /** It got stuck while a glance was under way. */
  #stuckMs: number | null = null;
  #orphaned = false;

  constructor(data: ThreadData) {
    this.#data = data;
    nameThread();
    this.#crumbs = new CrumbReader(data.memory);
    this.#watch = new StallWatch(
      { beatMs: BEAT_MS, warnMs: WARN_MS, stuckMs: STUCK_MS, pauseMs: PAUSE_MS },
      { beats: this.#crumbs.beats, now: performance.now() },
    );
    parentPort?.on('message', (equipment: Equipment) => {
      this.#equipment = equipment;
    });
    // One timer for both: what costs is that the thread wakes.
    let looks = 0;
    setInterval(() => {
      this.#look();
      if (data.primary !== null && looks++ % LOOKS_FOR_PARENT === 0) this.#checkParent(data.primary);
    }, LOOK_MS);
  }

  #look(): void {
    const news = this.#watch.look(this.#crumbs.beats, performance.now());
    const { flags } = this.#crumbs;
    if (flags & LEAVING) this.#investigation?.cutShort();
    // A process that loads its modules blocks its loop, rightly; the deadline of the boot watches it.
    if (news && flags & ARMED && !(flags & LEAVING)) this.#report(news);
  }

  #report({ type, ms }: StallNews): void {
    if (type === 'freed') {
      this.#investigation?.cutShort();
      this.#say({ type, stall: this.#stalls, ms });
      return;
    }
    if (type === 'blocked') this.#stalls += 1;
    const reading = this.#crumbs.read(this.#writerNow());
    this.#say({ type, stall: this.#stalls, ms, request: blame(reading, null), in_flight: reading.inHand.length });
    if (this.#investigation === null) void this.#investigate(type, ms, reading);
    else if (type === 'stuck') this.#stuckMs = ms;
  }

  /** A first glance when the loop is blocked, enough for the log; when it is stuck, evidence that stays. */
  async #investigate(type: 'blocked' | 'stuck', blockedMs: number, reading: CrumbReading): Promise<void> {
    const stall = this.#stalls;
    const investigation = new Investigation(process.pid, this.#data.projectRoot);
    this.#investigation = investigation;
    this.#stuckMs = null;
    try {
      const seen = await investigation.glance();
      const native = investigation.native();
      const found: Found = {
        kind: stallKind({ ...native, hasStack: seen !== null }),
        request: blame(reading, seen?.running ?? null),
        stack: seen?.stack ?? null,
        native,
      };
      if (type === 'blocked') this.#tell(stall, found, { artefact: null, problem: null, complete: false });
      else await this.#keepEvidence({ stall, blockedMs, reading, found, investigation });
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      this.#tell(stall, { kind: null, request: blame(reading, null), stack: null }, { artefact: null, problem, complete: true });
    } finally {
      investigation.close();
      this.#investigation = null;
    }
    // It got stuck while the glance was under way.
    if (this.#stuckMs !== null && stall === this.#stalls && !this.#watch.isTurning) {
      await this.#investigate('stuck', this.#stuckMs, this.#crumbs.read(this.#writerNow()));
    }
  }

  async #keepEvidence({ stall, blockedMs, reading, found, investigation }: Case): Promise<void> {
    const at = new Date(Date.now() - found.native.wallMs);
    const began = performance.now() - found.native.wallMs;
    const name = evidenceName('stall', at, `${process.pid}-${stall}.json`);
    const { kind = null, version = null } = this.#equipment ?? {};
    const document = {
      schema: 1,
      at: at.toISOString(),
      pid: process.pid,
      process: kind,
      version,
      node: process.version,
      blocked_ms: blockedMs,
      ...found,
      in_flight: { count: reading.inHand.length, oldest: reading.inHand.slice(0, SHOWN) },
      rss: process.memoryUsage.rss(),
    };
    const isJs = found.stack !== null;
    this.#tell(stall, found, { ...this.#write(name, document), complete: !isJs });
    if (!isJs) return;
    // Nothing but the profile is lost when the process ends now.
    const written_ms = Math.round(performance.now() - began);
    const profile = await investigation.profile();
    this.#tell(stall, found, { ...this.#write(name, { ...document, written_ms, ...profile }), complete: true });
  }

  /** The primary learns the essence also when the disk is full. */
  #write(name: string, document: object): { artefact: string | null; problem: string | null } {
    try {
      if (!this.#equipment) throw new Error('nobody has said where to');
      const { folder, limits } = this.#equipment;
      return { artefact: new EvidenceFolder(folder, limits).write(name, `${JSON.stringify(document)}\n`), problem: null };
    } catch (error) {
      return { artefact: null, problem: `the evidence could not be written: ${(error as Error).message}` };
    }
  }

  #tell(stall: number, { kind, request, stack }: Pick<Found, 'request' | 'stack'> & { kind: StallKind | null }, rest: Kept): void {
    const frames = (stack ?? []).slice(0, FRAMES_TOLD).map((frame) => `${frame.function} (${frame.file}:${frame.line})`);
    this.#say({ type: 'evidence', stall, kind, request, stack: frames, ...rest });
  }

  /** Twice: the event loop, if it turns, has noticed as well and ends the process in better order. */
  #checkParent(primary: number): void {
    if (process.ppid === primary) return;
    if (!this.#orphaned) {
      this.#orphaned = true;
      return;
    }
    killDescendants(process.pid);
    process.kill(process.pid, 'SIGKILL');
  }

  #say(line: WatchdogLine): void {
    const { fd } = this.#data;
    const { type, ...fields } = line;
    const text =
      fd === STDERR ? { at: new Date().toISOString(), level: 'warn', message: `event loop: ${type}`, pid: process.pid, ...fields } : line;
    try {
      writeSync(fd, `${JSON.stringify(text)}\n`);
    } catch {
      // Whoever read it is gone; this process will follow.
    }
  }

  #writerNow(): number {
    const { writer, shared } = this.#data.clock;
    return writer + Number(process.hrtime.bigint() - shared) / 1e6;
  }
}

/** So that `top -H` and `ps -L` tell this thread from the others. */
function nameThread(): void {
  if (process.platform === 'linux') writeFileSync('/proc/thread-self/comm', WATCHDOG_THREAD_NAME);
}

interface Found {
  kind: StallKind;
  request: ReturnType<typeof blame>;
  stack: Frame[] | null;
  native: ReturnType<Investigation['native']>;
}

interface Case {
  stall: number;
  blockedMs: number;
  reading: CrumbReading;
  found: Found;
  investigation: Investigation;
}

type Kept = { artefact: string | null; problem: string | null; complete: boolean };

new WatchdogThread(workerData as ThreadData);

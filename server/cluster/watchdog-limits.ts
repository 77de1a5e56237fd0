/** What the two halves of the watchdog, and those who act on its word, agree on. */
import type { EvidenceLimits } from './evidence-folder';

export const BEAT_MS = 50;
/** Each look costs about as much CPU as a tenth of a request. */
export const LOOK_MS = 50;
/** A stall is reported from here on, ... */
export const WARN_MS = 250;
/** ... and from here on its worker is given no new connection, and evidence is taken. */
export const STUCK_MS = 1_000;
/** How long a kill waits for evidence that is being taken. */
export const EVIDENCE_MS = 2_000;

/** Bits of the flags in the shared memory. */
export const ARMED = 1;
export const LEAVING = 2;

/** What the thread is called in the kernel's list; at most 15 bytes. */
export const WATCHDOG_THREAD_NAME = 'watchdog';

/** Under this name the event loop's own thread offers what it knows of the running context. */
export const RUNNING = 'autoshop.running';

const FILES = 200;
const MB = 1024 * 1024;

export const evidenceLimits = (config: { EVIDENCE_MAX_MB: number }): EvidenceLimits => ({
  files: FILES,
  bytes: config.EVIDENCE_MAX_MB * MB,
});

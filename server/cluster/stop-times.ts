/**
 * How long each stage of leaving may take, in milliseconds, all from two settings: GRACEFUL_TIMEOUT, in which what began is finished, and
 * KEEP_ALIVE_TIMEOUT, for which clients were promised that they may begin something on a connection they hold.
 */
import { config } from '../../config';

const SECOND_MS = 1_000;
/** On top of the promised time: a request may have been sent in its last moment. */
const ON_ITS_WAY_MS = 1_000;

export const GRACEFUL_MS = config.GRACEFUL_TIMEOUT * SECOND_MS;

/** How long a worker that others take over from leaves its silent connections alone. */
export const IDLE_GRACE_MS = config.KEEP_ALIVE_TIMEOUT * SECOND_MS + ON_ITS_WAY_MS;

/**
 * In a stop of the whole service: clients that had connected before are taken for at most so long, and then silent connections are left
 * alone for as long again. Both must leave time for what was begun in them: where GRACEFUL_TIMEOUT is short, they are a quarter of it each.
 */
export const LAST_CALL_MS = Math.min(SECOND_MS, GRACEFUL_MS / 4);

/** In a stop of the whole service: a connection that was accepted and that a busy worker has not taken is waited for at most so long. */
export const HANDOVER_MS = GRACEFUL_MS / 2;

/** Half a request is waited for at most so long after its connection was left alone: it may never become whole. */
export const HALF_REQUEST_MS = Math.min(5 * SECOND_MS, GRACEFUL_MS / 4);

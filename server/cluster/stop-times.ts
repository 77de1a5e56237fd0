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
 * A worker that others take over from keeps what its last answers promised until then, counted from the beginning of its drain: what is
 * left of its time is for ending those connections and closing everything.
 */
export const PROMISES_MS = IDLE_GRACE_MS + GRACEFUL_MS / 2;

/*
 * The stages of a stop of the whole service, and of a crash, follow each other and must leave time for what was begun in them and for
 * closing everything: where GRACEFUL_TIMEOUT is short, each is a part of it.
 */

/** Clients that had connected before are taken for at most so long, and then silent connections are left alone for as long again. */
export const LAST_CALL_MS = Math.min(SECOND_MS, GRACEFUL_MS / 6);

/** A connection that was accepted and that a busy worker has not taken is waited for at most so long. */
export const HANDOVER_MS = GRACEFUL_MS / 3;

/** Half a request is waited for at most so long after its connection was left alone: it may never become whole. */
export const HALF_REQUEST_MS = Math.min(5 * SECOND_MS, GRACEFUL_MS / 6);

/** A worker that crashes leaves silent connections alone for so long, and answers for so long in all: its memory may be damaged. */
export const CRASH_IDLE_GRACE_MS = Math.min(SECOND_MS, GRACEFUL_MS / 6);
export const CRASH_DRAIN_MS = Math.min(3 * SECOND_MS, GRACEFUL_MS / 2);

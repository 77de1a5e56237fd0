/**
 * Decides from the beats of an event loop, looked at from outside, when it stands still and when it goes on. Pure: beats and
 * time are handed in.
 *
 *   turning ──beat overdue by warnMs──► blocked ──by stuckMs──► stuck
 *      ▲──────────────── the next beat: freed ─────────────────────┘
 */
export interface StallLimits {
  /** Time between two beats of a loop that turns. */
  beatMs: number;
  warnMs: number;
  stuckMs: number;
  /** The watcher was not run for this long: the whole process stood still (stopped, or no processor for it), which is no fault of the loop. */
  pauseMs: number;
}

/** `ms`: by how much the beat is, or was, overdue; a lower bound of the time the loop stood still. */
export interface StallNews {
  type: 'blocked' | 'stuck' | 'freed';
  ms: number;
}

export class StallWatch {
  readonly #limits: StallLimits;
  #beats: number;
  #beatAt: number;
  #lookedAt: number;
  #phase: 'turning' | 'blocked' | 'stuck' = 'turning';

  constructor(limits: StallLimits, { beats, now }: { beats: number; now: number }) {
    this.#limits = limits;
    this.#beats = beats;
    this.#beatAt = now;
    this.#lookedAt = now;
  }

  get isTurning(): boolean {
    return this.#phase === 'turning';
  }

  /** One look; at most one piece of news, so a loop that is found stuck at once is reported blocked first. */
  look(beats: number, now: number): StallNews | null {
    const { beatMs, warnMs, stuckMs, pauseMs } = this.#limits;
    const unseen = now - this.#lookedAt;
    this.#lookedAt = now;
    if (unseen > pauseMs) this.#beatAt += unseen;
    const ms = Math.max(0, Math.round(now - this.#beatAt - beatMs));
    if (beats !== this.#beats) {
      this.#beats = beats;
      this.#beatAt = now;
      if (this.#phase === 'turning') return null;
      this.#phase = 'turning';
      return { type: 'freed', ms };
    }
    if (this.#phase === 'turning' && ms >= warnMs) {
      this.#phase = 'blocked';
      return { type: 'blocked', ms };
    }
    if (this.#phase === 'blocked' && ms >= stuckMs) {
      this.#phase = 'stuck';
      return { type: 'stuck', ms };
    }
    return null;
  }
}

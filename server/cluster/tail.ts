/**
 * Passes a child's output through line by line, so that lines of several children never tear one another, and keeps the
 * last of them: the last words of a process that died.
 */
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

const KEPT_LINES = 20;
const MAX_LINE = 64 * 1024;
const KEPT_CHARS = 400;

export class Tail {
  readonly #lines: string[] = [];
  readonly #ends: Promise<void>[] = [];
  readonly #write: (line: string) => void;

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  /** When all streams have ended, so that the last words are known; or after `limitMs`: somebody else may hold a pipe open. */
  async ended(limitMs: number): Promise<void> {
    const timer = new AbortController();
    const late = delay(limitMs, undefined, { signal: timer.signal }).catch(() => undefined);
    await Promise.race([Promise.all(this.#ends), late]);
    timer.abort();
  }

  /** Follows `stream` to its end; a last line without a newline is passed on as well. */
  follow(stream: Readable | null): void {
    if (!stream) return;
    this.#ends.push(new Promise((resolve) => stream.once('close', resolve)));
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      // A child that never ends its line must not fill the primary's memory.
      if (rest.length > MAX_LINE) {
        lines.push(rest);
        rest = '';
      }
      for (const line of lines) this.#keep(line);
    });
    stream.on('end', () => {
      if (rest !== '') this.#keep(rest);
      rest = '';
    });
    // The pipe of a killed child may end in an error instead of an end; its words so far are kept.
    stream.on('error', () => stream.destroy());
  }

  #keep(line: string): void {
    this.#write(line);
    if (line.trim() === '') return;
    this.#lines.push(line.slice(0, KEPT_CHARS));
    if (this.#lines.length > KEPT_LINES) this.#lines.shift();
  }
}

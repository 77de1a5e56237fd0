/**
 * The primary's half of the message bus: passes a message to every other child and tells the publisher when all of them
 * have acknowledged. A child that dies before it acknowledges is no longer waited for; the publisher has its own time limit.
 */
export interface BusPort {
  /** Children that can receive now, by id. */
  receivers(): Iterable<string>;
  deliver(receiver: string, delivery: number, topic: string, payload: unknown): void;
  done(publisher: string, call: number): void;
}

interface Publication {
  publisher: string;
  call: number;
  waitingFor: Set<string>;
  startedAt: number;
}

const FORGET_MS = 5_000;

export class Bus {
  readonly #port: BusPort;
  readonly #now: () => number;
  readonly #open = new Map<number, Publication>();
  #deliveries = 0;

  constructor(port: BusPort, now: () => number = () => performance.now()) {
    this.#port = port;
    this.#now = now;
  }

  get open(): number {
    return this.#open.size;
  }

  publish(publisher: string, call: number, topic: string, payload: unknown): void {
    const receivers = [...this.#port.receivers()].filter((receiver) => receiver !== publisher);
    if (receivers.length === 0) {
      this.#port.done(publisher, call);
      return;
    }
    this.#deliveries += 1;
    const delivery = this.#deliveries;
    this.#open.set(delivery, { publisher, call, waitingFor: new Set(receivers), startedAt: this.#now() });
    for (const receiver of receivers) this.#port.deliver(receiver, delivery, topic, payload);
  }

  acknowledge(receiver: string, delivery: number): void {
    const publication = this.#open.get(delivery);
    if (!publication) return;
    publication.waitingFor.delete(receiver);
    this.#conclude(delivery, publication);
  }

  /** A child is gone: nobody waits for it any more. */
  forget(child: string): void {
    for (const [delivery, publication] of this.#open) {
      publication.waitingFor.delete(child);
      if (publication.publisher === child) this.#open.delete(delivery);
      else this.#conclude(delivery, publication);
    }
  }

  /** Drops what a stuck child has kept open; its publisher gave up long ago. */
  sweep(): void {
    const now = this.#now();
    for (const [delivery, { startedAt }] of this.#open) if (now - startedAt > FORGET_MS) this.#open.delete(delivery);
  }

  #conclude(delivery: number, { publisher, call, waitingFor }: Publication): void {
    if (waitingFor.size > 0) return;
    this.#open.delete(delivery);
    this.#port.done(publisher, call);
  }
}

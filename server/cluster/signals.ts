/** What a signal to the primary means. docs/operations/signals.md says it to operators. */
import { log } from '../../lib/log';

export interface SignalActs {
  stop(signal: string): void;
  stopNow(signal: string): void;
  roll(): void;
  /** One worker more, or one less. */
  scale(by: 1 | -1): void;
  dump(): void;
  /** Nobody caught it: nothing in the primary can be relied on any more. */
  crash(): void;
  /** The process ends now; only synchronous work is done. */
  exit(): void;
}

export function listenForSignals(acts: SignalActs): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => acts.stop(signal));
  process.on('SIGQUIT', () => acts.stopNow('SIGQUIT'));
  process.on('SIGHUP', () => acts.roll());
  process.on('SIGTTIN', () => acts.scale(1));
  process.on('SIGTTOU', () => acts.scale(-1));
  process.on('SIGUSR2', () => acts.dump());
  // Dying without a word would orphan the children; dying with one is all that is left to do.
  process.on('uncaughtException', (error) => {
    log.error('uncaught error in the primary', { error });
    acts.crash();
  });
  process.on('exit', () => acts.exit());
}

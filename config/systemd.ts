/**
 * What systemd told this process at its start. It is taken out of the environment: a child that knows the protocol (a database
 * server, for example) must not report its own readiness as the service's.
 */
export interface SystemdEnvironment {
  /** Where the manager listens; a path, or a name of the abstract kind with `@`. */
  notifySocket: string;
  /** Time after which a silent service is restarted; null: it is not watched. */
  watchdogMs: number | null;
}

/** Null when nobody asked to be notified. */
export function takeSystemdEnvironment(environment: NodeJS.ProcessEnv = process.env, pid: number = process.pid): SystemdEnvironment | null {
  const { NOTIFY_SOCKET: notifySocket, WATCHDOG_USEC: usec, WATCHDOG_PID: watched } = environment;
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete environment[name];
  if (!notifySocket) return null;
  const isMeant = watched === undefined || watched === '' || Number(watched) === pid;
  const microseconds = Number(usec ?? 0);
  return { notifySocket, watchdogMs: isMeant && microseconds > 0 ? microseconds / 1000 : null };
}

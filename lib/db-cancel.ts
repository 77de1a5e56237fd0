/**
 * Asks the server to give up the statement that a connection is running. The request travels on a connection of its own and may
 * arrive late, so whoever asks must not give the connection another statement before the request has been taken: it would be hit.
 * Protocol: PostgreSQL documentation, 54.2.7 "Canceling Requests in Progress".
 */
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';

const LIMIT_MS = 2_000;

/** What pg's client and connection know and do not publish; the version is pinned and a test holds it. */
interface ClientInternals {
  host: string;
  port: number;
  processID: number;
  secretKey: number;
  connection: { ssl: boolean | ConnectionOptions };
}
interface ConnectionInternals {
  stream: { destroy(): void };
  connect(port: number | string, host?: string): void;
  requestSsl(): void;
  cancel(processID: number, secretKey: number): void;
  on(event: 'connect' | 'sslconnect' | 'end' | 'error', listener: () => void): void;
}
const Connection = pg.Connection as unknown as new (options: { ssl: boolean | ConnectionOptions }) => ConnectionInternals;

/**
 * Resolves when the server has taken the request, which it says by closing the connection; also when it cannot be reached or
 * does not answer within two seconds. Whether the statement was still running shows in its own result.
 */
export function cancelStatement(client: pg.Client): Promise<void> {
  const { host, port, processID, secretKey, connection } = client as unknown as ClientInternals;
  const request = new Connection({ ssl: connection.ssl });
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer);
      request.stream.destroy();
      resolve();
    };
    const timer = setTimeout(finish, LIMIT_MS);
    const send = (): void => request.cancel(processID, secretKey);
    request.on('connect', () => (connection.ssl ? request.requestSsl() : send()));
    request.on('sslconnect', send);
    request.on('end', finish);
    request.on('error', finish);
    if (host.startsWith('/')) request.connect(`${host}/.s.PGSQL.${port}`);
    else request.connect(port, host);
  });
}

/**
 * Which database this process works on, and all that follows from it. Everything above speaks PostgreSQL. On SQLite (development
 * and tests, one worker) a client translates it: `lib/sqlite/`, loaded only then. See docs/adr/0014-sqlite-by-translation.md.
 */
import pg from 'pg';
import { config } from '../config';
import { clientFor } from './db-client';

export const isSqlite = config.DATABASE_URL?.startsWith('sqlite:') ?? false;

const MS_PER_S = 1000;

const translation = (): typeof import('./sqlite/driver') => require('./sqlite/driver') as typeof import('./sqlite/driver');

/** The pg module as Sequelize uses it, with a client of ours. @param target label of metrics */
export function driver(target: string): object {
  const Client = isSqlite
    ? translation().driverClient({ url: config.DATABASE_URL ?? '', waitMs: config.DB_TIMEOUT * MS_PER_S })
    : clientFor(target);
  return Object.create(pg, { Client: { value: Client } }) as object;
}

/** What stands for the server in the ORM's settings: a file has no host, and the client of its own knows where it is. */
export const addressOf = (url: string): string => (isSqlite ? 'postgres://sqlite/' : url);

/** Opens the SQLite database and says what it is. It has no roles: the translation stands for row-level security. */
export async function sqliteServer(): Promise<{ version: string; maxConnections: number; role: string }> {
  return { version: `SQLite ${await translation().openServer(config.DATABASE_URL ?? '')}`, maxConnections: 1, role: 'sqlite' };
}

/** Closes what only this process had open: nothing on a server, the file on SQLite. */
export const closeServer = (): Promise<void> => (isSqlite ? translation().closeServer() : Promise.resolve());

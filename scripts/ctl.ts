/**
 * `npm run ctl -- <command>`: steers the service that runs, over its control socket, and ends with a code that a deployment script
 * can go by. `npm run reload` is `ctl roll --wait`. Runs the built files as they are and loads nothing of the service.
 *
 * Exit codes: 0 done, 1 tried and failed, 64 wrong usage, 69 no service answers, 70 a rolling restart or a replacement was aborted (the
 * old workers serve), 75 not now, 77 the socket is another user's.
 */
import { controlSocketOf } from '../config/control-socket';
import { ControlRefusal } from '../server/cluster/control-commands';
import { readArguments, USAGE } from './ctl/arguments';
import { ask, NoService } from './ctl/client';
import { renderer } from './ctl/render';

const EXIT = { usage: 64, failed: 1, aborted: 70, busy: 75 } as const;

async function main(argv: readonly string[]): Promise<number> {
  const asked = readArguments(argv);
  if (asked === 'help') {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const { request, json, socket } = asked;
  const show = renderer({ command: request.command, json, out: process.stdout });
  await ask(socket ?? controlSocketOf(), request, show);
  return 0;
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`ctl: ${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof ControlRefusal && error.kind === 'usage') process.stderr.write('\nnpm run ctl -- --help tells more\n');
    process.exitCode = error instanceof ControlRefusal ? EXIT[error.kind] : error instanceof NoService ? error.exitCode : EXIT.failed;
  },
);

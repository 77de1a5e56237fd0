/**
 * `npm run admin -- <command> …`: accounts, tenants and sessions, through the same rules and the same audit trail as the
 * service. Works on DATABASE_URL (the service's or the owner's), else on the embedded database, adopting it when the service
 * runs. A password is only ever read from standard input: arguments show in process lists and shell histories.
 *
 * Exit codes: 0 done, 1 refused, 64 wrong usage, 70 failed, 75 database unreachable, 78 refused by configuration.
 */
import { runOnDatabase } from './on-database';

runOnDatabase('admin/run.js', 'admin');

/**
 * Writes .env with fresh secrets, readable by its owner alone. It never overwrites: a new JWT_SECRET would sign everybody out,
 * so rotating one is a decision (JWT_SECRET_PREVIOUS), not an accident.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';

const SECRET_BYTES = 48;
const EXIT_EXISTS = 1;

const file = resolve('.env');
const secret = (): string => randomBytes(SECRET_BYTES).toString('hex');
const content = `# Secrets of this installation. Not for version control; keep a copy where you keep passwords.
JWT_SECRET=${secret()}
OPS_TOKEN=${secret()}
# Still to be filled in for production (npm run start:prod names whatever is missing):
# DATABASE_URL=postgres://autoshop_app:password@db.internal:5432/autoshop
`;

try {
  writeFileSync(file, content, { mode: 0o600, flag: 'wx' });
  console.log('.env written: JWT_SECRET, OPS_TOKEN');
} catch (error) {
  if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  console.error('.env exists and stays as it is; delete it yourself if you mean to replace its secrets');
  process.exitCode = EXIT_EXISTS;
}

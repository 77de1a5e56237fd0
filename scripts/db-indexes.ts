/**
 * `npm run db:indexes`: foreign keys without an index, indexes that another one makes needless, and indexes that nobody reads. With
 * `-- --check` it ends with 1 when an index is missing or double; what is unused needs a person who knows the load.
 */
import { runOnDatabase } from './on-database';

runOnDatabase('indexes/run.js', 'db:indexes');

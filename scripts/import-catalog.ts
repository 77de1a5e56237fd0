/**
 * `npm run catalog:import -- --tenant <slug or id> [--file <csv>]`: brings a shop's service catalogue up to a CSV file, by
 * default the one that is shipped. Safe to repeat; a file with a fault is refused as a whole, with every fault named.
 *
 * Exit codes: 0 imported, 1 file refused, 64 wrong usage, 66 file or tenant not found, 70 failed, 75 database unreachable.
 */
import { runOnDatabase } from './on-database';

runOnDatabase('catalog/import.js', 'catalog:import');

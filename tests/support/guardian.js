/**
 * Outlives the test run by a moment: when the run ends, however it ends, its end of our standard input closes; then the test
 * database is stopped and its folder removed. A handler inside the run would not see a kill -9.
 *
 * Usage: node guardian.js <pid of the server> <data folder of the server> <folder to remove>
 */
const { readFileSync, rmSync } = require('node:fs');
const { join } = require('node:path');

const STOP_TIMEOUT_MS = 20_000;
const POLL_MS = 20;
const [pid, dataDir, folder] = [Number(process.argv[2]), process.argv[3], process.argv[4]];

/** The server's own note is gone when it has stopped; its number alone could be somebody else's by now. */
function runs() {
  try {
    return Number.parseInt(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8'), 10) === pid && process.kill(pid, 0);
  } catch {
    return false;
  }
}

function finish() {
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  if (runs()) process.kill(pid, 'SIGQUIT');
  const timer = setInterval(() => {
    if (runs() && Date.now() < deadline) return;
    clearInterval(timer);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }, POLL_MS);
}

process.stdin.resume();
process.stdin.once('close', finish);

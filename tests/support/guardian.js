/**
 * Outlives the test run by a moment: when the run ends, however it ends, its end of our standard input closes; then the test
 * database is stopped and its folder removed. A handler inside the run would not see a kill -9.
 *
 * Usage: node guardian.js <pid of the server> <data folder of the server> <folder to remove>
 * A number on its standard input is the pid of a further process of the run (a pooler), ended before the server.
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

let further = '';

function finish() {
  for (const line of further.split('\n').filter(Boolean)) endQuietly(Number(line));
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  if (runs()) process.kill(pid, 'SIGQUIT');
  const timer = setInterval(() => {
    if (runs() && Date.now() < deadline) return;
    clearInterval(timer);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }, POLL_MS);
}

function endQuietly(other) {
  try {
    process.kill(other, 'SIGTERM');
  } catch (error) {
    // The run has ended it itself.
    if (error.code !== 'ESRCH') throw error;
  }
}

process.stdin.setEncoding('utf8').on('data', (text) => {
  further += text;
});
process.stdin.once('close', finish);

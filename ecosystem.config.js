/**
 * PM2 keeps one primary alive; the primary keeps the workers. Hence fork mode and one instance: PM2's own cluster mode would
 * put a second load balancer in front of ours. A reload without downtime is `npm run reload`, which waits and says how it ended;
 * `pm2 reload` stops the old one before the new one serves. docs/operations/deploy.md tells the rest.
 */
const { NODE_ENV = 'production', PORT = '5000', WORKERS = '4', GRACEFUL_TIMEOUT = '30', PRESTOP_DELAY = '0' } = process.env;

module.exports = {
  apps: [
    {
      name: 'autoshop',
      script: 'dist/server/index.js',
      exec_mode: 'fork',
      instances: 1,
      // The environment of `pm2 start` wins over these.
      env: { NODE_ENV, PORT, WORKERS },
      // The primary says `ready` when its workers serve; a first start may run migrations.
      wait_ready: true,
      listen_timeout: 60_000,
      // PM2 must not kill a drain that is still within its time. It knows what is in its own environment, not what ENV_FILE says.
      kill_timeout: (Number(PRESTOP_DELAY) + Number(GRACEFUL_TIMEOUT) + 10) * 1000,
      // Only the primary is signalled; it stops its workers in order.
      treekill: false,
      exp_backoff_restart_delay: 100,
      // Configuration and load errors do not heal by trying again.
      stop_exit_codes: [70, 78],
    },
  ],
};

#!/bin/sh
# The one-command deployment: build where there is a compiler, check everything, serve. Every step keeps this process id,
# so signals from a terminal, a supervisor or `docker stop` reach the service itself.
set -eu
cd "$(dirname "$0")/.."

if [ -x node_modules/.bin/tsc ]; then
  node_modules/.bin/tsc -p . || { echo 'start-production: the build failed' >&2; exit 70; }
elif [ ! -f dist/server/index.js ]; then
  # An image without development packages carries its dist/ from the build stage.
  echo 'start-production: dist/ is missing and there is no compiler; run npm ci && npm run build first' >&2
  exit 70
fi
exec node dist/scripts/start-production.js

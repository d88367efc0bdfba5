#!/usr/bin/env bash
# From a clone to a running system: installs and builds what is missing, starts everything, runs the demonstration.
# The system keeps running afterwards: `bin/strata down` stops it. Arguments go to the demonstration.
set -euo pipefail
cd "$(dirname "$0")/.."

bash scripts/setup.sh
node dist/src/main/cli.js up
exec node dist/src/main/demo.js "$@"

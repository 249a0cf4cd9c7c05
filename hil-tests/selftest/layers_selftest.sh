#!/usr/bin/env bash
# The layer check must find planted offences, and name them.
set -euo pipefail
check=$(dirname "$(readlink -f "$0")")/layers.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/libs/base" "$tree/controller/core"
echo '#include "base/status.h"' >"$tree/libs/base/good.h"
"$check" "$tree" >/dev/null || { echo "a clean tree was refused"; exit 1; }
echo '#include "rpc/server.h"' >"$tree/libs/base/x.h"
echo '#include <zmq.hpp>' >"$tree/controller/core/y.h"
if found=$("$check" "$tree"); then echo "planted offences were not found"; exit 1; fi
grep -q 'libs/base/x.h:1: may not include "rpc/server.h"' <<<"$found"
grep -q 'controller/core/y.h:1:' <<<"$found"
echo "planted offences are found"

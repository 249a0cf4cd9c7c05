#!/usr/bin/env bash
# Who may include whom (docs/reference/architecture.md), checked by text. Prints each offending include; exit 1 if any.
# Usage: layers.sh [SOURCE_DIR]
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"

# folder ; allowed project includes ; allowed for its tests besides   (extended regular expressions)
rules() {
  cat <<'TXT'
libs/base          ; base/ ;
libs/model         ; base/|model/ ;
libs/link          ; base/|link/ ; faraday/link/
libs/access        ; base/|access/|faraday/v1/ ;
libs/evloop        ; base/|evloop/ ;
libs/rpc           ; base/|access/|evloop/|rpc/|faraday/v1/ ;
libs/rackconfig    ; base/|model/|rackconfig/ ;
firmware/core      ; base/|link/|firmware/core/ ; firmware/drivers/
firmware/budget    ; firmware/budget/ ;
firmware/drivers   ; base/|link/|firmware/core/|firmware/drivers/ ;
firmware/boards    ; base/|link/|firmware/|sim/plant/ ;
controller/core    ; base/|access/|model/|rackconfig/rack_config.h|link/messages.h|link/slot_bits.h|controller/core/ ;
controller         ; base/|access/|model/|link/|evloop/|rpc/|rackconfig/|faraday/v1/|controller/ ; firmware/|sim/
agent/core         ; base/|access/|model/|agent/core/ ;
agent              ; base/|access/|model/|evloop/|rpc/|rackconfig/|faraday/v1/|agent/ ;
lab/core           ; base/|access/|model/|lab/core/ ;
lab                ; base/|access/|model/|evloop/|rpc/|rackconfig/|faraday/v1/|lab/ ;
cli                ; base/|access/|model/|link/|evloop/|rpc/|rackconfig/|faraday/v1/|cli/ ;
sim                ; base/|model/|link/|evloop/|rackconfig/|firmware/|sim/ ;
hil-tests/line     ; base/|access/|link/|evloop/|rpc/|faraday/v1/|sim/qemu/|hil-tests/ ;
hil-tests/guest    ; base/|access/|rpc/|faraday/v1/|sim/qemu/|hil-tests/ ;
hil-tests/qemu     ; base/|access/|link/|evloop/|rpc/|faraday/v1/|sim/qemu/|hil-tests/ ;
hil-tests/conformance ; base/|link/|rackconfig/yaml_reader.h|hil-tests/ ;
hil-tests/scenarios ; base/|rackconfig/yaml_reader.h|hil-tests/ ;
hil-tests/longrun  ; base/|link/|sim/board/|firmware/boards/native/|hil-tests/ ;
hil-tests          ; base/|access/|model/|link/|evloop/|rpc/|faraday/v1/|hil-tests/ ;
TXT
}

# Libraries that decide nothing and therefore stay out of every core.
means='zmq|google/protobuf|\.pb\.h|yaml-cpp|sqlite3|termios|libserialport|systemd|sodium|CLI11|pugixml'

# The first rule whose folder is a prefix of the file's path wins.
rule_for() { rules | awk -F' *; *' -v f="$1" '{ d = $1; if (index(f, d "/") == 1) { print NR; exit } }'; }

offences=0
declare -A allowed_of tests_of
n=0
while IFS=';' read -r _ allowed tests; do
  n=$((n + 1))
  allowed_of[$n]=${allowed// /}
  tests_of[$n]=${tests// /}
done < <(rules)

while read -r file; do
  rule=$(rule_for "$file")
  [ -n "$rule" ] || continue
  allowed=${allowed_of[$rule]}
  case $file in *_test.cc | *fake_*) [ -z "${tests_of[$rule]}" ] || allowed="$allowed|${tests_of[$rule]}" ;; esac
  while IFS=: read -r number include; do
    [ -n "$number" ] || continue
    path=$(sed -E 's/.*#include "([^"]*)".*/\1/' <<<"$include")
    if ! grep -qE "^($allowed)" <<<"$path"; then
      echo "$file:$number: may not include \"$path\" (allowed: $allowed)"
      offences=$((offences + 1))
    fi
  done < <(grep -nE '^#include "' "$file" || true)
  case $file in
    */core/*)
      while IFS= read -r hit; do
        [ -n "$hit" ] || continue
        echo "$file:$hit (a core sees no means)"
        offences=$((offences + 1))
      done < <(grep -nE "^#include <.*($means)" "$file" || true)
      ;;
  esac
done < <(git ls-files --cached --others --exclude-standard '*.h' '*.cc' 2>/dev/null || find . -name '*.h' -o -name '*.cc' | sed 's|^\./||')

if [ "$offences" != 0 ]; then echo "layers: $offences offending includes"; exit 1; fi
echo "layers: every include is allowed"

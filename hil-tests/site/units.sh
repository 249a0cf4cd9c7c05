#!/usr/bin/env bash
# The systemd units: every key is known, and `systemd-analyze security` scores each at most LIMIT (0 best, 10 worst).
# Usage: units.sh SOURCE_DIR     exit 77: skipped
set -uo pipefail
limit=2.5
source=$1
command -v systemd-analyze >/dev/null || {
  echo "SKIPPED: systemd-analyze is missing: the units' sandboxes are NOT scored here; apt install systemd"
  exit 77
}
failed=0
fail() { echo "FAILED: $*"; failed=1; }

for unit in lab/faraday-lab controller/faraday-controller agent/faraday-agent; do
  file=$source/$unit.service
  answer=$(systemd-analyze security --offline=yes --no-pager "$file" 2>&1) || { fail "$unit: $answer"; continue; }
  grep -qiE 'unknown (key|lvalue)|ignoring|failed to parse' <<<"$answer" && fail "$unit: $(grep -iE 'unknown|ignoring|failed' <<<"$answer")"
  score=$(grep -oE 'level for [^:]+: [0-9.]+' <<<"$answer" | grep -oE '[0-9.]+$')
  echo "$unit.service: $score (at most $limit)"
  awk -v score="${score:-10}" -v limit="$limit" 'BEGIN { exit !(score <= limit) }' || fail "$unit scores $score"
  # What holds for every program, whatever its score.
  for line in NoNewPrivileges=yes CapabilityBoundingSet= ProtectSystem=strict UMask=0077 StateDirectoryMode=0700; do
    grep -qx "$line" "$file" || fail "$unit has no $line"
  done
  grep -qE '^User=faraday-' "$file" || fail "$unit runs as root"
  # Secrets live in files of the state folder, never in a unit that everybody may read.
  grep -qE '^(Environment|ExecStart).*(TOKEN|CODE|--code|--token|--key)' "$file" && fail "$unit carries a secret"
done
# A unit's mistakes that have nothing to do with its sandbox: programs are not installed here, that line is expected.
copy=$(mktemp -d) && trap 'rm -rf "$copy"' EXIT
for unit in lab/faraday-lab controller/faraday-controller agent/faraday-agent; do
  sed -E 's,^(ExecStart=)[^ ]+,\1/bin/true,' "$source/$unit.service" >"$copy/$(basename "$unit").service"
done
verified=$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --recursive-errors=no "$copy"/*.service 2>&1)
grep -q "$copy" <<<"$verified" && fail "systemd-analyze verify: $verified"
# Several racks on one machine: the command of run-a-rack.md makes a template of the unit.
template=$(grep -oE "sed 's,[^']+'" "$source/docs/operate/run-a-rack.md")
eval "$template" "$source/controller/faraday-controller.service" >"$copy/faraday-controller@.service"
grep -qx 'StateDirectory=faraday/%i' "$copy/faraday-controller@.service" &&
  grep -qx 'ExecStart=/usr/bin/faraday-controller --config /etc/faraday/%i.yaml' "$copy/faraday-controller@.service" ||
  fail "run-a-rack.md makes no template: $template"
# The users that the units name.
mkdir -p "$copy/root/etc"
if command -v systemd-sysusers >/dev/null; then
  systemd-sysusers --root="$copy/root" "$source/controller/faraday-rack.sysusers" || fail "faraday-rack.sysusers"
  for user in faraday-lab faraday-controller faraday-agent; do
    grep -qE "^$user:.*:/usr/sbin/nologin$" "$copy/root/etc/passwd" || fail "no user $user without a login shell"
  done
  grep -qE '^faraday-serial:.*:faraday-controller$' "$copy/root/etc/group" || fail "faraday-serial has not the controller alone"
  grep -qE '^faraday-phones:.*:faraday-agent$' "$copy/root/etc/group" || fail "faraday-phones has not the agent alone"
fi
exit "$failed"

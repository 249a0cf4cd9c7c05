#!/usr/bin/env bash
# Plays a whole story - enrolments, logins, a token, jobs, switching, a rotation, refusals - and then looks for every
# secret of it: in every command line and environment that was seen meanwhile, in every log, database, event, audit
# record and artefact. Secrets may be in key files of mode 0600 and nowhere else. Usage: secrets.sh --bin DIR
set -uo pipefail
here=$(dirname "$(readlink -f "$0")")
root=$(readlink -f "$here/../..")
[ "${1:-}" = --bin ] && [ $# = 2 ] || { echo "usage: secrets.sh --bin DIR" >&2; exit 2; }
bin=$(readlink -f "$2")
limit=${FARADAY_DEMO_LIMIT:-30}
configs=$root/rack-configs

. "$here/stage.sh"
open_stage
# What this test knows and sees, apart from what it searches.
hidden=$(mktemp -d)
trap 'rm -rf "$hidden"; finish' EXIT
fail() { echo "FAILED: $*"; failed=1; }
must() { "$@" >>"$run/out/said" 2>&1 || { fail "$*"; tail -5 "$run/out/said"; }; }
person() { local who=$1; shift; XDG_CONFIG_HOME=$run/people/$who "$@"; }

# A secret goes from one program's stdout to another's stdin; this shell keeps a copy.
secrets=()
code() {  # NAME ARGUMENTS...   sets `secret`
  secret=$(faraday-lab --config "$configs/lab.yaml" user "$@" 2>>"$run/out/said") || { fail "user $*"; exit 1; }
  [ -n "$secret" ] || { fail "user $*: no secret"; exit 1; }
  secrets+=("$secret")
}

# Every command line and environment, again and again.
watch_processes() {
  while :; do
    cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | sort -u >>"$hidden/processes"
    sleep 0.05
  done
}
watch_processes &
watcher=$!

start lab "$run/lab/endpoints" faraday-lab --config "$configs/lab.yaml"
code add r01 --role controller
must faraday-controller --config "$configs/r01.yaml" --enrol "$FARADAY_LAB" <<<"$secret"
code add h01 --role agent
must faraday-agent --config "$configs/agent-h01.yaml" --enrol <<<"$secret"
start sim "$run/sim/ready" faraday-sim --config "$configs/r01.yaml" --scenario "$root/sim/scenarios/demo.yaml" --run-dir "$run/sim" --board native
start controller "$run/controller/endpoints" faraday-controller --config "$configs/r01.yaml"
start agent "$run/agent-h01/ready" faraday-agent --config "$configs/agent-h01.yaml"
code add ana --role user,tech
must person ana faraday login "$FARADAY_LAB" <<<"$secret"
code add ci-apps --role ci --team apps --token 1d
token=$hidden/token
(umask 077 && printf '%s\n' "$secret" >"$token")

setsid env XDG_CONFIG_HOME="$run/people/ana" faraday events --for 10m >"$run/out/events" 2>&1 </dev/null &
pids+=($!)
booted() { person ana faraday status r01/01 --json | grep -q '"adb_state": *"device"'; }
until_true booted || fail "no phone in r01/01"

# What a curious job can find out.
nosy='env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr "\0" "\n"; cat ../../../keys/* ../../../known_servers ../../../roster; find ../../.. -name "*.key" -exec cat {} + ; exit 0'
must env FARADAY_TOKEN_FILE="$token" XDG_CONFIG_HOME="$run/people/ci" faraday run -l slot=r01/01 --timeout 1m --out "$run/out/job" -- sh -c "$nosy"
must person ana faraday reserve -l slot=r01/02 --for 5m
must person ana faraday power on r01/02
must person ana faraday power off r01/02
code rotate ana
must person ana faraday login "$FARADAY_LAB" <<<"$secret"
person bob faraday login "$FARADAY_LAB" <<<"$secret" >>"$run/out/said" 2>&1 && fail "a code was taken twice"
person eve faraday login "$FARADAY_LAB" <<<"${secret/a/b}" >>"$run/out/said" 2>&1 && fail "a mistyped code was taken"
code rotate ana --now
must faraday-lab --config "$configs/lab.yaml" user list
must faraday-lab --config "$configs/lab.yaml" user disable ana --reason 'laptop lost'
must faraday-lab --config "$configs/lab.yaml" audit --server --json

kill "$watcher"
wait "$watcher" 2>/dev/null

# Every secret key of the story, as hex.
while IFS= read -r key; do secrets+=("$key"); done < <(find "$run" -name '*.key' -exec sed -n 's/^secret //p' {} +)
[ "${#secrets[@]}" -ge 12 ] || fail "only ${#secrets[@]} secrets known: this test looks for too few"
grep -q 'faraday-controller' "$hidden/processes" || fail "no processes were seen"

# Every file as text without dashes and spaces, and as hex, for the raw bytes of a key.
flat() { tr -d ' -' | tr 'A-Z' 'a-z'; }
mkdir "$hidden/flat" "$hidden/hex"
flat <"$hidden/processes" >"$hidden/flat/a command line or an environment"
while IFS= read -r file; do
  name=${file#"$run"/}
  flat <"$file" >"$hidden/flat/${name//\//:}"
  od -An -tx1 -v "$file" | tr -d ' \n' >"$hidden/hex/${name//\//:}"
done < <(find "$run" -type f ! -path '*/keys/*.key')
for secret in "${secrets[@]}"; do
  plain=$(flat <<<"$secret")
  plain=${plain#fcode} plain=${plain#ftoken}
  name="${secret:0:6}... (${#secret} characters)"
  found=$(cd "$hidden/flat" && grep -laF -- "$plain" ./*; cd "$hidden/hex" && grep -lF -- "$plain" ./*)
  [ -z "$found" ] || fail "$name is in $found"
done
loose=$(find "$run" \( -path '*/keys/*' -o -name known_servers -o -name users -o -name roster \) -type f -perm /077)
[ -z "$loose" ] || fail "others may read: $loose"
[ "$failed" = 0 ] && echo "${#secrets[@]} secrets; none in $(ls "$hidden/flat" | wc -l) files or $(sort -u "$hidden/processes" | wc -l) words of processes"
exit "$failed"

#!/usr/bin/env bash
# The demo story: a simulated rack, and the main job done on it as a user would. Every command is printed before its
# output. Usage: demo.sh --bin DIR [--board ast1030|native] [--once]
#   --board       ast1030 (default): the firmware image that a board would run, in QEMU; native: the firmware's core as
#                 a part of the simulator, which needs no QEMU
#   FARADAY_DEMO_LIMIT  seconds that a program may take to start, default 30 (tests on busy machines give more)
#   FARADAY_ADDR  loopback address of all sockets, default 127.0.0.1 (tests use one of their own)
set -uo pipefail

bin= once=0 board=ast1030
limit=${FARADAY_DEMO_LIMIT:-30}
while [ $# -gt 0 ]; do
  case $1 in
    --bin) bin=$(readlink -f "$2"); shift 2 ;;
    --board) board=${2:?say which: ast1030 or native}; shift 2 ;;
    --once) once=1; shift ;;
    *) echo "demo: unknown option '$1'; options: --board ast1030|native, --once" >&2; exit 2 ;;
  esac
done
[ -x "$bin/faraday" ] || { echo "demo: no programs in '$bin'; run ./dev build release" >&2; exit 2; }
case $board in
  native) firmware="native firmware" ;;
  ast1030)
    firmware="firmware image in QEMU"
    need() { echo "demo: $1 is missing: run ./dev setup, or apt install $2, or use --board native" >&2; exit 2; }
    command -v qemu-system-arm >/dev/null || need qemu-system-arm qemu-system-arm
    [ -e "$bin/faraday-firmware-ast1030.elf" ] ||
      need "the firmware image" "gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib and build again"
    ;;
  *) echo "demo: unknown board '$board': use ast1030 or native" >&2; exit 2 ;;
esac
here=$(dirname "$(readlink -f "$0")")
root=$(readlink -f "$here/../..")

run=$(mktemp -d "${TMPDIR:-/tmp}/faraday-demo.XXXXXX")
export FARADAY_RUN=$run FARADAY_ADDR=${FARADAY_ADDR:-127.0.0.1} FARADAY_USER=${FARADAY_USER:-ana}
export FARADAY_LAB=tcp://$FARADAY_ADDR:7710
export PATH=$bin:$PATH
mkdir -p "$run"/{sim,controller,agent-h01,lab,out}

bold= plain=
if [ -t 1 ]; then bold=$(tput bold 2>/dev/null || true) plain=$(tput sgr0 2>/dev/null || true); fi
pids=()
failed=0
began=$(date +%s)

# A job under way would outlive its agent by design (the next one takes it up): here no next one comes.
cancel_jobs() {
  local attempt
  for attempt in "$run"/agent-h01/attempts/*/; do [ -d "$attempt" ] && : >"$attempt/cancel"; done
  for _ in $(seq 80); do pgrep -f "faraday-runner $run/" >/dev/null || break; sleep 0.1; done
}
# The adb servers that the agent left for its successor: processes whose HOME lies in this run's folder.
end_adb_servers() {
  local environ
  for environ in /proc/[0-9]*/environ; do
    cat "$environ" 2>/dev/null | tr '\0' '\n' | grep -q "^HOME=$run/agent-h01/" && kill -KILL "$(basename "$(dirname "$environ")")" 2>/dev/null
  done
}

stop_all() {
  trap - EXIT INT TERM HUP
  local i
  cancel_jobs
  # In the reverse order of their start, so that nobody misses a peer.
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do kill -TERM "${pids[i]}" 2>/dev/null || true; done
  for ((i = 0; i < ${#pids[@]}; i++)); do
    for _ in $(seq 100); do kill -0 "${pids[i]}" 2>/dev/null || break; sleep 0.1; done
    kill -KILL "${pids[i]}" 2>/dev/null || true
    wait "${pids[i]}" 2>/dev/null || true
  done
  end_adb_servers
  if [ "$failed" = 0 ]; then rm -rf "$run"; else echo "demo: logs are kept in $run"; fi
}
finish() { stop_all; exit "$failed"; }
trap finish EXIT
told=0  # the story was told to its end
trap 'echo; echo "demo: ending everything it started"; [ "$told" = 1 ] || failed=1; exit' INT TERM HUP

title() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }
# The words as one would type them.
typed() {
  local word line=
  for word in "$@"; do
    case $word in *[!A-Za-z0-9_./:=,@-]*) word="'$word'" ;; esac
    line+="$word "
  done
  printf '%s' "${line% }"
}
# Prints the command, then runs it. A failure is counted, the story goes on.
show() {
  printf '%s$ %s%s\n' "$bold" "$(typed "$@")" "$plain"
  "$@" || { local rc=$?; echo "demo: FAILED with exit code $rc"; failed=1; return "$rc"; }
}
start() {  # NAME READY_FILE PROGRAM ARGUMENTS...
  local name=$1 ready=$2
  shift 2
  # A session of its own: Ctrl-C reaches this script alone, which then ends everybody in order.
  setsid "$@" >"$run/$name.log" 2>&1 </dev/null &
  pids+=($!)
  for _ in $(seq $((limit * 10))); do
    [ -e "$ready" ] && return
    kill -0 "${pids[-1]}" 2>/dev/null || break
    sleep 0.1
  done
  echo "demo: $name did not start:"
  tail -20 "$run/$name.log"
  failed=1
  exit 1
}
# Polls until the command succeeds or the limit is over.
until_true() {
  for _ in $(seq $((limit * 5))); do "$@" >/dev/null 2>&1 && return 0; sleep 0.2; done
  return 1
}
phones_known() { [ "$(faraday status r01 --json | grep -c '"never_seen": *false')" -ge 12 ]; }

title "Starting rack r01: simulator (plant, $firmware, 12 phones), controller, agent, lab   [$run]"
start sim "$run/sim/ready" faraday-sim --config "$root/rack-configs/r01.yaml" --scenario "$root/sim/scenarios/demo.yaml" --run-dir "$run/sim" --board "$board"
start controller "$run/controller/endpoints" faraday-controller --config "$root/rack-configs/r01.yaml"
start agent "$run/agent-h01/ready" faraday-agent --config "$root/rack-configs/agent-h01.yaml"
start lab "$run/lab/endpoints" faraday-lab --config "$root/rack-configs/lab.yaml"
echo "all running; the controller connects each slot for a moment so that the agent can read its phone ..."
until_true phones_known || { echo "demo: the agent did not find 12 phones within $limit s"; failed=1; }

title "The rack as everyone sees it: what was commanded, and what is measured"
show faraday status r01

title "CI: run a small test suite on any Pixel 8 with Android 14 or newer"
show faraday run -l 'model=pixel-8,os>=14' --timeout 2m --junit junit.xml --out "$run/out/job" -- sh "$here/smoke_suite.sh"
show ls -l "$run/out/job" "$run/out/job/artifacts"
show faraday job list

title "An engineer: reserve a Galaxy S23 for half an hour and use its slot"
show faraday reserve -l model=galaxy-s23 --for 30m >"$run/out/reservation" 2>&1 || true
cat "$run/out/reservation"
lease=$(grep -oE 'r01-[0-9]+-[0-9]+' "$run/out/reservation" | head -1)
slot=$(grep -oE 'r01/[0-9]+' "$run/out/reservation" | tail -1)
if [ -n "$slot" ]; then
  show faraday power on "$slot"
  show faraday usb connect "$slot"
  show faraday shield couple "$slot"
  show faraday status "$slot"
  show faraday shield isolate "$slot"
  show faraday power cycle "$slot" --off-for 1s
  show faraday power off "$slot"
  show faraday release "$lease"
else
  echo "demo: nothing was reserved"; failed=1
fi

title "What cannot work says why"
printf '%s$ %s%s\n' "$bold" "faraday power on $slot" "$plain"
if faraday power on "$slot"; then echo "demo: FAILED, a slot without a lease was switched"; failed=1; fi

told=1
echo
if [ "$failed" = 0 ]; then echo "demo: the whole story worked, in $(($(date +%s) - began)) s"; else echo "demo: a part FAILED, see above"; fi
[ "$once" = 1 ] && exit

cat <<TXT

The rack stays up. From another shell:

  export PATH=$bin:\$PATH FARADAY_LAB=$FARADAY_LAB
  faraday status
  faraday reserve -l model=pixel-7a --for 10m
  faraday events --rack r01
  faraday-sim ctl --run-dir $run/sim fault r01/05 short on      # break something

Logs: $run/*.log      Ctrl-C here ends everything.
TXT
while :; do
  for i in "${!pids[@]}"; do
    kill -0 "${pids[i]}" 2>/dev/null || { echo "demo: a program has ended by itself; see $run/*.log"; failed=1; exit 1; }
  done
  sleep 1
done

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

. "$here/stage.sh"
open_stage
configs=$root/rack-configs

bold= plain=
if [ -t 1 ]; then bold=$(tput bold 2>/dev/null || true) plain=$(tput sgr0 2>/dev/null || true); fi
began=$(date +%s)
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
# The lab makes a one-time code, and the machine or person at the right takes it from the pipe: no code on a screen, in a
# file, or on a command line.
enrol() {  # NAME ROLES PROGRAM ARGUMENTS...
  local name=$1 roles=$2 rc
  shift 2
  printf '%s$ faraday-lab --config lab.yaml user add %s --role %s | %s%s\n' "$bold" "$name" "$roles" "$(typed "${@//$configs\//}")" "$plain"
  faraday-lab --config "$configs/lab.yaml" user add "$name" --role "$roles" 2>>"$run/enrol.log" | "$@" 2>>"$run/enrol.log"
  rc="${PIPESTATUS[*]}"
  [ "$rc" = "0 0" ] && return
  echo "demo: FAILED with exit codes $rc:"; tail -3 "$run/enrol.log"
  failed=1
}
phones_known() { [ "$(faraday status r01 --json | grep -c '"never_seen": *false')" -ge 12 ]; }

title "Starting the lab, and letting rack r01 and its agent in: each makes its own key   [$run]"
start lab "$run/lab/endpoints" faraday-lab --config "$configs/lab.yaml"
enrol r01 controller faraday-controller --config "$configs/r01.yaml" --enrol "$FARADAY_LAB"
enrol h01 agent faraday-agent --config "$configs/agent-h01.yaml" --enrol

title "Starting rack r01: simulator (plant, $firmware, 12 phones), controller, agent"
start sim "$run/sim/ready" faraday-sim --config "$configs/r01.yaml" --scenario "$root/sim/scenarios/demo.yaml" --run-dir "$run/sim" --board "$board"
start controller "$run/controller/endpoints" faraday-controller --config "$configs/r01.yaml"
start agent "$run/agent-h01/ready" faraday-agent --config "$configs/agent-h01.yaml"

title "A user: ana logs in with a code; the key is made here and stays here"
enrol ana user faraday login "$FARADAY_LAB"
show faraday whoami
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

title "Who did what: ana's own records; techs and admins see everybody's"
show faraday audit --on "$slot"

told=1
echo
if [ "$failed" = 0 ]; then echo "demo: the whole story worked, in $(($(date +%s) - began)) s"; else echo "demo: a part FAILED, see above"; fi
[ "$once" = 1 ] && exit

cat <<TXT

The rack stays up. From another shell:

  export PATH=$bin:\$PATH XDG_CONFIG_HOME=$XDG_CONFIG_HOME      # ana's key and servers
  faraday status
  faraday reserve -l model=pixel-7a --for 10m
  faraday events --rack r01
  FARADAY_RUN=$run faraday-lab --config $configs/lab.yaml user list      # as the lab's admin
  faraday-sim ctl --run-dir $run/sim fault r01/05 short on      # break something

Logs: $run/*.log      Ctrl-C here ends everything.
TXT
while :; do
  for i in "${!pids[@]}"; do
    kill -0 "${pids[i]}" 2>/dev/null || { echo "demo: a program has ended by itself; see $run/*.log"; failed=1; exit 1; }
  done
  sleep 1
done

# For the stories, sourced: one run folder with everything in it, programs that are started into it and ended in order.
# Needs: bin (folder of the programs), limit (seconds a program may take to start). Sets: run, failed, pids.
# shellcheck shell=bash

pids=()
failed=0

open_stage() {
  run=$(mktemp -d "${TMPDIR:-/tmp}/faraday-demo.XXXXXX")
  export FARADAY_RUN=$run FARADAY_ADDR=${FARADAY_ADDR:-127.0.0.1}
  export FARADAY_LAB=tcp://$FARADAY_ADDR:7710
  # Nobody's own keys, names and servers: the story's people live in its folder.
  unset FARADAY_USER FARADAY_ROLE FARADAY_CONTROLLER FARADAY_TOKEN FARADAY_TOKEN_FILE FARADAY_PLAIN
  export XDG_CONFIG_HOME=$run/people/ana
  export PATH=$bin:$PATH
  mkdir -p "$run"/{sim,controller,agent-h01,lab,out,people}
  trap finish EXIT
}

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
  if [ "$failed" = 0 ]; then rm -rf "$run"; else echo "logs are kept in $run"; fi
}
finish() { stop_all; exit "$failed"; }

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
  echo "$name did not start:"
  tail -20 "$run/$name.log"
  failed=1
  exit 1
}
# Polls until the command succeeds or the limit is over.
until_true() {
  for _ in $(seq $((limit * 5))); do "$@" >/dev/null 2>&1 && return 0; sleep 0.2; done
  return 1
}

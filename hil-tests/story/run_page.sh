#!/usr/bin/env bash
# Runs a docs page: its ```sh blocks in order, in one shell, with the real programs in a folder of its own. A ```text
# block tells lines that the block before it must have printed (`...` stands for anything). A command that ends in
# "# refused" must fail, every other must succeed.
# Usage: run_page.sh --bin DIR PAGE
set -uo pipefail
here=$(dirname "$(readlink -f "$0")")
root=$(readlink -f "$here/../..")
[ "${1:-}" = --bin ] && [ $# = 3 ] || { echo "usage: run_page.sh --bin DIR PAGE" >&2; exit 2; }
bin=$(readlink -f "$2") page=$(readlink -f "$3")
limit=${FARADAY_DEMO_LIMIT:-30}
# A block that waits for what never comes ends too.
[ -n "${FARADAY_PAGE_TIMED:-}" ] || FARADAY_PAGE_TIMED=1 exec timeout $((limit * 3)) "$0" "$@"

. "$here/stage.sh"
open_stage
unset FARADAY_LAB
export XDG_CONFIG_HOME=$run/me
cd "$root" || exit 2
trap 'fail "not done in time"; cat "$run/out/said"; exit' TERM

fail() { echo "FAILED: $*"; failed=1; }

# What the page starts in the background is ended like everything else.
note_jobs() {
  local pid
  for pid in $(jobs -p); do
    case " ${pids[*]} " in *" $pid "*) ;; *) pids+=("$pid") ;; esac
  done
}

# ERR trap: the simple command that failed, as it stands in the page.
failures=
on_error() { case $1 in '. "$commands"'*) ;; *) failures+="$1"$'\n' ;; esac; }

run_block() {  # FILE with the commands
  local commands=$1 line
  failures=
  set -E
  trap 'on_error "$BASH_COMMAND"' ERR
  # shellcheck disable=SC1090
  . "$commands" >"$run/out/said" 2>&1 </dev/null
  trap - ERR
  set +E
  note_jobs
  sed 's,^,    ,' "$run/out/said"
  # bash tells a command with other spaces than the page.
  local squeezed refused
  squeezed=$(tr -d ' ' <<<"$failures")
  refused=$(sed -n 's/ *# refused$//p' "$commands" | tr -d ' ')
  while read -r line; do
    [ -n "$line" ] && ! grep -qF -- "$line" <<<"$refused" && fail "block at line $at: this failed: $line"
  done <<<"$squeezed"
  while read -r line; do
    [ -n "$line" ] && ! grep -qF -- "$line" <<<"$squeezed" && fail "block at line $at: this was not refused: $line"
  done <<<"$refused"
}

check_block() {  # FILE with expected lines
  local line pattern
  while IFS= read -r line; do
    [ -z "${line// /}" ] && continue
    pattern=$(sed -e 's/[][\.*^$/+?(){}|]/\\&/g' -e 's/\\\.\\\.\\\./.*/g' -e 's/  */ +/g' <<<"$line")
    grep -qE -- "$pattern" "$run/out/said" || fail "line $at: not printed: $line"
  done <"$1"
}

# One block at a time: kind and line number, then its lines.
kind= at=0 count=0 blocks=0
while IFS= read -r line || [ -n "$line" ]; do
  count=$((count + 1))
  case $line in
    '```sh' | '```text') kind=${line#'```'} at=$count; : >"$run/out/block" ;;
    '```')
      case $kind in
        sh) blocks=$((blocks + 1)); sed 's,^,  $ ,' "$run/out/block"; run_block "$run/out/block" ;;
        text) check_block "$run/out/block" ;;
      esac
      kind=
      ;;
    *) [ -n "$kind" ] && printf '%s\n' "$line" >>"$run/out/block" ;;
  esac
  [ "$failed" = 0 ] || break
done <"$page"
[ "$blocks" -gt 0 ] || fail "$page has no sh blocks"
[ "$failed" = 0 ] && echo "$(basename "$page"): $blocks blocks did what the page says" || tail -n 5 "$run"/*.log 2>/dev/null
exit "$failed"

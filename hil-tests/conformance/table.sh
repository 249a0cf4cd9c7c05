#!/usr/bin/env bash
# The page of what runs where keeps step with the scripts: each script is in it, each script it names exists, and a
# board's absence is explained there in the script's own words. Usage: table.sh FARADAY_CONFORMANCE PAGE
set -euo pipefail
program=$1
page=$2
scripts=$(dirname "$(readlink -f "$0")")/scripts
wrong=0
complain() {
  echo "$page: $1"
  wrong=1
}
for file in "$scripts"/*.yaml; do
  name=$(basename "$file")
  grep -qF "[\`$name\`]" "$page" || complain "the script $name is in no row"
done
named=$(grep -oE '\[`[a-z0-9-]+\.yaml`\]' "$page" | tr -d '[]`' | sort -u)
[ -n "$named" ] || complain "names no script"
for name in $named; do
  [ -f "$scripts/$name" ] || complain "names $name, which does not exist"
done
listed=$("$program" --list)
while IFS= read -r reason; do
  grep -qF -- "$reason" "$page" || complain "does not give the reason \"$reason\""
done < <(sed -nE 's/^ +not on [a-z0-9]+: //p' <<<"$listed")
[ "$wrong" = 0 ] || exit 1
echo "$page: $(wc -w <<<"$named") scripts, all there"

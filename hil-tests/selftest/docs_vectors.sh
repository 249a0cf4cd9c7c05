#!/usr/bin/env bash
# Every hex example of the link page is a vector, to the byte.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
lines=0
while IFS= read -r line; do
  lines=$((lines + 1))
  grep -qxF -- "$line" libs/link/vectors/*.txt || { echo "docs/reference/mcu-link.md shows what is no vector: $line"; exit 1; }
done < <(grep '^wire: ' docs/reference/mcu-link.md)
[ "$lines" -gt 0 ] || { echo "docs/reference/mcu-link.md has no hex example"; exit 1; }
echo "all $lines hex lines of the link page are vectors"

#!/usr/bin/env bash
# Builds a tiny image with one fault at a time: the budget tool must take the sound one and name each fault.
# Usage: planted_test.sh PATH_TO_faraday-firmware-budget
set -euo pipefail
tool=$1
here=$(dirname "$(readlink -f "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

build() {  # CASE [FLAG...]
  local dir=$work/$1
  shift
  mkdir -p "$dir"
  (cd "$dir" && arm-none-eabi-g++ -mcpu=cortex-m4 -mthumb -std=c++20 -Os -ffreestanding -fno-exceptions -fno-rtti \
    -ffunction-sections -fcallgraph-info=su "$@" -c "$here/image.cc" -o image.o &&
    arm-none-eabi-g++ -mcpu=cortex-m4 -mthumb -nostdlib -T "$here/image.ld" -Wl,--gc-sections,--emit-relocs,-Map=image.map \
      image.o -o image.elf)
}

check() {  # CASE RULES: the tool's status in $status, its words in $said
  local dir=$work/$1
  status=0
  said=$("$tool" --elf "$dir/image.elf" --map "$dir/image.map" --rules "$2" --objdump arm-none-eabi-objdump \
    --figures "$dir/figures" --callgraph "$dir" 2>&1) || status=$?
}

report() {  # CASE WHAT
  echo "FAILED: $1: $2"
  echo "$said"
  failures=$((failures + 1))
}

refused() {  # CASE WORDS [RULES]
  check "$1" "${3:-$here/budget.txt}"
  if [ "$status" != 1 ]; then report "$1" "status $status, not 1"; return; fi
  if ! grep -qF "$2" <<<"$said"; then report "$1" "does not say '$2'"; return; fi
  if [ -e "$work/$1/figures" ]; then report "$1" "wrote figures of an image that it refuses"; return; fi
  echo "refused: $1"
}

build sound
check sound "$here/budget.txt"
[ "$status" = 0 ] && [ -s "$work/sound/figures" ] || report sound "was refused"

build recursion -DPLANT_RECURSION
refused recursion 'recursion: planted::Sum(unsigned long) -> planted::Sum(unsigned long)'
build dynamic -DPLANT_DYNAMIC
refused dynamic 'planted::Fill(unsigned long): its stack frame has no fixed size'
build indirect -DPLANT_INDIRECT
refused indirect 'planted::Run() makes 2 indirect calls, the rule says 1'
refused indirect 'planted::Once(unsigned long): its address is taken'
build big-frame -DPLANT_BIG_FRAME
refused big-frame 'the stack may need'
build heap -DPLANT_HEAP
refused heap 'malloc is in the image: there is no heap'
build flash -DPLANT_FLASH
refused flash 'more than its limit of 8192'
build ram -DPLANT_RAM
refused ram 'more than its limit of 2048'

sed 's/planted::Triple/planted::Fourfold/' "$here/budget.txt" >"$work/stale.txt"
grep -v 'indirect\|planted::' "$here/budget.txt" >"$work/unlisted.txt"
rm -f "$work/sound/figures"
refused sound "no function 'planted::Fourfold(*' is in the image" "$work/stale.txt"
refused sound 'planted::Run(): an indirect call that the budget file does not list' "$work/unlisted.txt"

if [ "$failures" != 0 ]; then echo "$failures cases failed"; exit 1; fi
echo "every planted fault was found"

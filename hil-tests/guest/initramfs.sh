#!/usr/bin/env bash
# initramfs.sh KERNEL_FOLDER CONTROLLER OUT: packs the guest's whole file system: busybox, the kernel's modules, the real
# faraday-controller with the shared libraries that it needs here, its config.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
kernel=$1 controller=$2 out=$3
tree=$(mktemp -d)
chmod 755 "$tree" # it becomes the guest's /
trap 'rm -rf "$tree"' EXIT

mkdir -p "$tree"/{bin,proc,sys,dev,tmp,etc,modules,faraday}
cp "$(command -v busybox)" "$tree/bin/busybox"
cp "$here/init" "$tree/init"
grep -v '^#' "$here/modules.txt" | sed 's|.*/||' >"$tree/modules/order"
cp "$kernel"/*.ko "$tree/modules"
cp "$here/rack.yaml" "$controller" "$tree/faraday"
ldd "$controller" | grep -o '/[^ ]*' | sort -u | while read -r library; do
  mkdir -p "$tree$(dirname "$library")"
  cp -L "$library" "$tree$library"
done
(cd "$tree" && find . | cpio --quiet -o -H newc) >"$out"

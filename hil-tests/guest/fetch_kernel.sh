#!/usr/bin/env bash
# fetch_kernel.sh FOLDER: Debian's kernel for the guest, unpacked but not installed (this machine boots as before).
#
# The version is the one that the metapackage linux-image-amd64 depends on (the cloud kernel has no USB). Leaves in
# FOLDER: vmlinuz, the modules of modules.txt, and `package` with the package's name, written last. Does nothing when
# that is there; about 70 MB are downloaded else, 10 MB kept. Works for root and for ordinary users.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
out=$1
modules() { grep -v '^#' "$here/modules.txt"; }
complete() {
  local module
  [ -e "$out/package" ] || return 1
  for module in $(modules); do [ -e "$out/${module##*/}" ] || return 1; done
}
! complete || exit 0

mkdir -p "$out"
work=$(mktemp -d "$out/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
# apt's own download user cannot write to our folder; said at once, it does not warn.
apt=(apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=15)
root=()
if [ "$(id -u)" = 0 ]; then apt+=(-o APT::Sandbox::User=root); else root=(sudo -n); fi

image_name() {
  apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*-amd64\)$/\1/p' | head -1
}
download() {
  image=$(image_name)
  [ -n "$image" ] && (cd "$work" && "${apt[@]}" download "$image")
}

# The lists may be missing, or older than the mirror's last security update.
if ! download 2>"$work/log"; then
  "${root[@]}" "${apt[@]}" update || true
  download || { echo "fetch_kernel.sh: no kernel package for linux-image-amd64; run apt-get update as root" >&2; exit 1; }
fi

members=(--wildcards './boot/vmlinuz-*')
while read -r module; do members+=("./lib/modules/*/$module"); done < <(modules)
dpkg-deb --fsys-tarfile "$work"/linux-image-*.deb | tar -x -C "$work" "${members[@]}"
rm -f "$out"/vmlinuz* # an interrupted run's
find "$work" \( -name '*.ko' -o -name 'vmlinuz-*' \) -exec cp -t "$out" {} +
mv "$out"/vmlinuz-* "$out/vmlinuz"
echo "$image" >"$out/package"

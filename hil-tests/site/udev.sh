#!/usr/bin/env bash
# The udev rules against invented devices: `udevadm test` says what they would do. In a mount namespace of its own, so
# that this machine's /run and /dev stay as they are. Usage: udev.sh SOURCE_DIR     exit 77: skipped
set -uo pipefail
source=$1
here=$(dirname "$(readlink -f "$0")")
skip() { echo "SKIPPED: $*: the udev rules are NOT checked here"; exit 77; }
udevadm=${UDEVADM:-$(command -v udevadm)} || skip "udevadm is missing (apt install udev)"
command -v umockdev-run >/dev/null || skip "umockdev-run is missing (apt install umockdev)"

if [ "${FARADAY_INSIDE:-}" != 1 ]; then
  for how in "--mount" "--user --map-root-user --mount"; do
    # shellcheck disable=SC2086
    unshare $how true 2>/dev/null || continue
    # shellcheck disable=SC2086
    FARADAY_INSIDE=1 exec unshare $how --propagation private "$0" "$@"
  done
  skip "no mount namespace for this user"
fi

mount -t tmpfs none /run && mkdir -p /run/udev/rules.d /run/dev || skip "no tmpfs on /run"
cp "$source/controller/74-faraday-rack.rules" /run/udev/rules.d/
printf "faraday-serial:x:64001:\nfaraday-phones:x:64002:\n" >/run/group
cat /etc/group >>/run/group && mount --bind /run/group /etc/group || skip "no groups of our own"
for rules in /usr/lib/udev/rules.d /lib/udev/rules.d /etc/udev/rules.d; do
  [ -d "$rules" ] && mount -t tmpfs none "$rules"
done
# Before and after ours, as Debian's 70-uaccess.rules and 73-seat-late.rules do for phones in MTP mode.
echo 'SUBSYSTEM=="usb", TAG+="uaccess"' >/run/udev/rules.d/70-uaccess.rules
echo 'TAG=="uaccess", RUN{builtin}+="uaccess"' >/run/udev/rules.d/73-seat-late.rules
for node in null zero urandom; do : >/run/dev/$node && mount --bind /dev/$node /run/dev/$node; done
mkdir /run/dev/pts && mount -t devpts -o newinstance,ptmxmode=0666 devpts /run/dev/pts && ln -s pts/ptmx /run/dev/ptmx
mount --rbind /run/dev /dev || skip "no /dev of our own"
umockdev-run --device "$here/udev.umockdev" -- true 2>/dev/null || skip "umockdev-run finds no pty for this user"

failed=0
bus=/sys/devices/pci0000:00/0000:00:14.0/usb1
tried() { SYSTEMD_LOG_LEVEL=debug umockdev-run --device "$here/udev.umockdev" -- "$udevadm" test "$bus/$1" 2>&1; }
wants() {  # DEVICE LINE...
  local device=$1 answer
  shift
  answer=$(tried "$device")
  grep -iE '74-faraday.*(invalid|unknown|ignor|fail)' <<<"$answer" && { echo "FAILED: a rule is not understood"; failed=1; }
  for line in "$@"; do
    if [ "${line:0:1}" = ! ]; then
      grep -qE -- "${line:1}" <<<"$answer" && { echo "FAILED: $device: has '${line:1}'"; failed=1; }
    elif ! grep -qE -- "$line" <<<"$answer"; then
      echo "FAILED: $device: no '$line' in:"; tail -30 <<<"$answer"; failed=1
    fi
  done
}
wants 1-2/1-2:1.0/ttyUSB1/tty/ttyUSB1 'GROUP 64001$' 'MODE 0660$' "LINK 'faraday/FT4RACK01'" '^ID_MM_PORT_IGNORE=1$' '^ID_MM_DEVICE_IGNORE=1$'
wants 1-2 'ATTR .*power/control.*on' '^ID_MM_DEVICE_IGNORE=1$' '!GROUP'
wants 1-3 'GROUP 64002$' 'MODE 0660$' 'ATTR .*power/control.*on' "!^run: 'uaccess'"
wants 1-5 'GROUP 64002$' 'MODE 0660$' "!^run: 'uaccess'"
wants 1-4 '!GROUP' '!ATTR .*power/control' '!^ID_MM' "^run: 'uaccess'"
[ "$failed" = 0 ] && echo "the rules treat a serial adapter, two phones and a keyboard as they should"
exit "$failed"

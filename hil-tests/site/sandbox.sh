#!/usr/bin/env bash
# The demo's whole story with controller, lab and agent (and its jobs) under what their systemd units say, as users of
# their own, imitated by `confine`. Usage: sandbox.sh CONFINE BIN SOURCE_DIR     exit 77: skipped
set -uo pipefail
confine=$1 bin=$2 source=$3
skip() { echo "SKIPPED: $*: the units' restrictions are NOT tried here"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root"
command -v systemd-analyze >/dev/null || skip "systemd-analyze is missing (apt install systemd)"

case $(readlink -f "$bin") in /tmp/* | /var/tmp/*) skip "the programs lie below /tmp, which the units replace" ;; esac
# Not below /tmp, which the units replace.
run=$(mktemp -d /run/faraday-site.XXXXXX) || skip "no folder below /run"
trap 'rm -rf "$run"' EXIT
chmod 711 "$run"
mkdir "$run/bin" "$run/tmp" && chmod 711 "$run/tmp"
"$confine" "$source/lab/faraday-lab.service" 64000 "$run/tmp" /bin/true || skip "this machine does not let root make the namespaces"

# What must not work does not: else the imitation would prove nothing.
failed=0
for try in 'touch /etc/faraday-was-here' 'unshare --user true' 'chmod u+s /tmp' 'cat /root/.profile' 'kill -0 1'; do
  "$confine" "$source/lab/faraday-lab.service" 64000 "$run/tmp" /bin/sh -c "$try" >/dev/null 2>&1 && { echo "FAILED: the lab may: $try"; failed=1; }
done

for link in "$bin"/*; do ln -s "$link" "$run/bin/"; done
user=64000
for name in controller lab agent; do
  rm "$run/bin/faraday-$name"
  folder=$name && [ $name = agent ] && folder=agent-h01
  user=$((user + 1))
  cat >"$run/bin/faraday-$name" <<SH
#!/bin/sh
# Every program of the story starts through here: its folder becomes its user's, as StateDirectory does it.
chmod 711 "\$FARADAY_RUN"
chown -R $user:$user "\$FARADAY_RUN/$folder"
for line in "\$FARADAY_RUN"/sim/board*; do [ -e "\$line" ] && chmod 666 "\$(readlink -f "\$line")"; done
exec "$confine" "$source/$name/faraday-$name.service" $user "\$FARADAY_RUN/$folder" "$bin/faraday-$name" "\$@"
SH
  chmod +x "$run/bin/faraday-$name"
done
export TMPDIR=$run/tmp ASAN_OPTIONS=detect_leaks=0:${ASAN_OPTIONS:-}
"$source/hil-tests/story/demo.sh" --bin "$run/bin" --board native --once || failed=1
for name in controller lab agent; do
  "$confine" "$source/$name/faraday-$name.service" | sed "s,^,faraday-$name.service: ,"
done
[ "$failed" = 0 ] || tail -n 15 "$run"/tmp/*/*.log
exit "$failed"

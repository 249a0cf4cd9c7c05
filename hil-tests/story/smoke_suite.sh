#!/bin/sh
# A small test suite as a user's CI would bring it: plain adb, JUnit out, one artefact. Runs on the agent's host with
# ANDROID_SERIAL and ANDROID_ADB_SERVER_PORT set, so that `adb` means the leased phone.
set -u
out=$FARADAY_ARTIFACTS
tests=0 failures=0
: >"$out/cases"

check() {  # NAME COMMAND...
  name=$1
  shift
  tests=$((tests + 1))
  if "$@"; then
    echo "ok   $name"
    echo "  <testcase classname=\"smoke\" name=\"$name\"/>" >>"$out/cases"
  else
    failures=$((failures + 1))
    echo "FAIL $name"
    echo "  <testcase classname=\"smoke\" name=\"$name\"><failure message=\"see the log\"/></testcase>" >>"$out/cases"
  fi
}
booted() { [ "$(adb shell getprop sys.boot_completed)" = 1 ]; }
push_and_read() {
  echo "hello from slot $FARADAY_SLOT, lease $FARADAY_LEASE" >hello.txt
  adb push hello.txt /data/local/tmp/hello.txt && adb shell cat /data/local/tmp/hello.txt | cmp - hello.txt
}
exit_status() { adb shell 'exit 7'; [ $? = 7 ]; }
compute_on_phone() {
  echo 'i=0; while [ $i -lt 100 ]; do i=$((i + 1)); done; echo $i >/data/local/tmp/result.txt' >count.sh
  adb push count.sh /data/local/tmp/count.sh && adb shell sh /data/local/tmp/count.sh &&
    adb pull /data/local/tmp/result.txt "$out/result.txt" && [ "$(cat "$out/result.txt")" = 100 ]
}

adb wait-for-device
echo "phone: $(adb shell getprop ro.product.model), Android $(adb shell getprop ro.build.version.release), serial $ANDROID_SERIAL"
check boots booted
check push-and-read push_and_read
check exit-status-arrives exit_status
check computes-on-the-phone compute_on_phone

{
  echo "<testsuite name=\"smoke\" tests=\"$tests\" failures=\"$failures\">"
  cat "$out/cases"
  echo "</testsuite>"
} >junit.xml
rm "$out/cases"
[ "$failures" = 0 ]

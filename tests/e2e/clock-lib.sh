# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# For tests of windows and clocks: a sidecar whose clocks the test sets. Source it behind lib.sh.

cc -O2 -g -Wall -Wextra -D_GNU_SOURCE -shared -fPIC "$CLIENTS/clock.c" -ldl -o "$W/clock.so" || exit
WALL=0 BOOT=0 SYNCHRONISED=0

clock_write() {
    echo "$WALL $BOOT $SYNCHRONISED" > "$W/clock.new"
    mv "$W/clock.new" "$W/clock"
}

# sidecar_start: by hand, for one that starts by itself has no preload.
sidecar_start() {
    rm -f "$W/ready"
    env LD_PRELOAD="$W/clock.so${PRELOAD:+:$PRELOAD}" TEST_CLOCK="$W/clock" TEST_BOOT="$W/boot" "$FLYBALLD" --foreground \
        --ready-fd 3 3> "$W/ready" 2>> "$W/flyballd.err" < /dev/null > /dev/null 9>&- &
    await "the sidecar is ready" line_in "$W/ready" '^ready'
    equal "the sidecar is the one with the test's clocks" "$(sidecar_pid)" $!
}

# clock_at TIME: a new ledger, and the sidecar's clock at TIME, as date(1) reads it.
clock_at() {
    end_sidecar
    rm -rf "$FLYBALL_HOME"
    mkdir -m 700 "$FLYBALL_HOME"
    WALL=$(($(date -d "$1" +%s) - $(date +%s))) BOOT=0 SYNCHRONISED=0
    clock_write
    cp /proc/sys/kernel/random/boot_id "$W/boot"
    sidecar_start
}

# sleeps SECONDS: the machine is asleep for so long. jumps SECONDS: the wall clock is set.
sleeps() {
    WALL=$((WALL + $1)) BOOT=$((BOOT + $1))
    clock_write
}
jumps() {
    WALL=$((WALL + $1))
    clock_write
}

MINUTE=60 HOUR=3600 DAY=86400 YEAR=31536000
ID=anthropic--messages--s--200--ec648626

# calls [RUN-OPTION...]: the HTTP status of one call, in a run under $W/f.yaml; its body is in answer.
calls() {
    "$FLYBALL" run --config "$W/f.yaml" "$@" -- ask "${WHICH:-$ID}" -o "$W/answer" -w '%{http_code}' 2> "$W/said"
}

# twice SENTENCE [RUN-OPTION...]: two calls pass and the third does not, where a limit is two steps.
twice() {
    local sentence=$1
    shift
    equal "$sentence" "$(calls "$@") $(calls "$@") $(calls "$@")" "200 200 402"
}

reason() {
    jq -r .flyball.reason "$W/answer"
}

# window YAML: the only one, of two steps.
window() {
    plain anthropic
    printf '%s\nwindows: [ { %s, steps: 2 } ]\n' "${ZONE:+timezone: $ZONE}" "$1" >> "$W/plain.yaml"
    mv "$W/plain.yaml" "$W/f.yaml"
}

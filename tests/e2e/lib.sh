# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What every end-to-end test uses; `run` has set TOP, E2E, BUILD, CERTS, and W, the test's own
# directory, which is also where it starts. A test ends with `done_testing`. Nothing here waits for
# time to pass: `await` waits for a condition.
set -u

FLYBALL=$BUILD/flyball
FLYBALLD=$BUILD/flyballd
SHIM=$BUILD/libflyball.so
CLIENTS=$TOP/tests/clients
PYTHON=/usr/bin/python3
WAIT_SECONDS=60
checks=0
failures=0

# ---- verdicts -------------------------------------------------------------------------------

# verdict STATUS SENTENCE
verdict() {
    checks=$((checks + 1))
    if [ "$1" = 0 ]; then
        echo "ok $checks - $2"
    else
        failures=$((failures + 1))
        echo "not ok $checks - $2"
    fi
}

note() {
    printf '%s\n' "$*" | sed 's/^/    # /'
}

# check SENTENCE COMMAND...: the command succeeds.
check() {
    local sentence=$1 status
    shift
    "$@" > "$W/check.out" 2>&1
    status=$?
    verdict $status "$sentence"
    [ $status = 0 ] || note "$*" "$(head -c 2000 "$W/check.out")"
}

# fails SENTENCE COMMAND...: it does not.
fails() {
    local sentence=$1 status=0
    shift
    "$@" > "$W/check.out" 2>&1 && status=1
    verdict $status "$sentence"
    [ $status = 0 ] || note "$*" "$(head -c 2000 "$W/check.out")"
}

# equal SENTENCE GIVEN WANT
equal() {
    [ "$2" = "$3" ]
    verdict $? "$1"
    [ "$2" = "$3" ] || note "got:  $2" "want: $3"
}

# matches SENTENCE GIVEN PATTERN: an extended regular expression, anywhere in it.
matches() {
    local status=0
    grep -qE -e "$3" <<< "$2" || status=1
    verdict $status "$1"
    [ $status = 0 ] || note "got:  $(head -c 2000 <<< "$2")" "want: /$3/"
}

# lacks SENTENCE GIVEN PATTERN
lacks() {
    local status=0
    grep -qE -e "$3" <<< "$2" && status=1
    verdict $status "$1"
    [ $status = 0 ] || note "got:  $(head -c 2000 <<< "$2")" "without: /$3/"
}

# holds SENTENCE JSON FILTER [JQ-ARGUMENT...]: jq's filter gives `true`, once (JSON: one value; with -s
# any number of them, as one array).
holds() {
    local sentence=$1 json=$2 filter=$3 status
    shift 3
    jq "$@" "$filter" <<< "$json" > "$W/check.out" 2>&1
    [ "$(cat "$W/check.out")" = true ]
    status=$?
    verdict $status "$sentence"
    [ $status = 0 ] || note "filter: $filter" "in: $(head -c 3000 <<< "$json")" \
        "gives: $(head -c 500 "$W/check.out")"
}

# sanitized A B: A; B where the programs are built with a sanitizer, which keeps what was freed.
sanitized() {
    case $BUILD in */asan | */tsan) echo "$2" ;; *) echo "$1" ;; esac
}

done_testing() {
    echo "1..$checks"
    [ "$failures" = 0 ]
    exit
}

# ---- waiting --------------------------------------------------------------------------------

# until_true COMMAND...: polls; false when it has not come true in time.
until_true() {
    local deadline=$((SECONDS + WAIT_SECONDS))
    until "$@" > /dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.02
    done
}

# await WHAT COMMAND...: a condition that the rest of the test stands on.
await() {
    local what=$1
    shift
    until_true "$@" && return
    verdict 1 "comes true: $what"
    note "$*"
    done_testing
}

# answer_has BYTES: the file answer, of a client that still writes it.
answer_has() {
    [ "$(stat -c %s answer)" -ge "$1" ]
}

# All its threads are: a dead leader may have living ones, which keep its sockets open.
gone() { # PID
    [ -n "$1" ] && ! ps -L -o stat= -p "$1" | grep -qv '^Z'
}

# kill_hard PID: of a process that the test has started, without the shell's word on it.
kill_hard() {
    kill -9 "$1"
    wait "$1" 2> /dev/null
}

line_in() { # FILE PATTERN
    grep -qE -e "$2" "$1"
}

lines_in() { # FILE PATTERN COUNT: at least so many
    [ "$(grep -cE -e "$2" "$1")" -ge "$3" ]
}

now_ms() {
    local us=${EPOCHREALTIME/./}
    echo $((us / 1000))
}

# ---- the provider double ------------------------------------------------------------------------

# replay_start [ARGUMENT...]: sets HTTP and HTTPS, its ports; its event lines are in $W/replay.log,
# its stdin is descriptor 9. The programs that ask it find it in the environment.
replay_start() {
    mkdir -p "$W/saved"
    mkfifo "$W/replay.in"
    exec 9<> "$W/replay.in"
    : > "$W/replay.log"
    "$BUILD/replay" --listen 127.0.0.1:0 --tls-listen 127.0.0.1:0 --cert "$CERTS/leaf.pem" \
        --key "$CERTS/leaf.key" --corpus "$TOP/tests/corpus" --log "$W/replay.log" \
        --save "$W/saved" "$@" < "$W/replay.in" > /dev/null 2> "$W/replay.err" 9>&- &
    REPLAY_PID=$!
    await "the double listens" line_in "$W/replay.log" '^ready'
    HTTP=$(sed -n 's/^listening http 127.0.0.1://p' "$W/replay.log")
    HTTPS=$(sed -n 's/^listening https 127.0.0.1://p' "$W/replay.log")
    export HTTP HTTPS REPLAY_PID
}

# go: the double goes on where it stalls.
go() {
    echo "go${1:+ $1}" >&9
}

# received [PATTERN]: how many requests the double has read.
received() {
    grep -cE -e "^request .*${1:-}" "$W/replay.log"
}

# The file of an exchange: as given, or by its id, a derived one or of the corpus.
exchange_file() {
    case $1 in
    */*) echo "$1" ;;
    *) ls "$W/$1.json" 2> /dev/null || ls "$TOP"/tests/corpus/*/"$1.json" ;;
    esac
}

# exchange ID-OR-FILE...: lays out its request, for `ask`.
exchange() {
    local file id url method provider
    for id; do
        file=$(exchange_file "$id")
        IFS=$'\t' read -r id url method provider < \
            <(jq -r '[.id, .request.url, .request.method // "POST", .provider] | @tsv' "$file")
        mkdir -p "$W/x/$id"
        jq -j '.request.body // ""' "$file" > "$W/x/$id/body"
        echo "$url" > "$W/x/$id/url"
        echo "$method" > "$W/x/$id/method"
        echo "$provider" > "$W/x/$id/provider"
    done
}

# derive ID NEW FILTER: an exchange file $W/NEW.json, made from one of the corpus by jq.
derive() {
    jq --arg id "$2" "(.id = \$id) | $3" "$(exchange_file "$1")" > "$W/$2.json"
}

# ask ID [CURL-OPTION...]: see the program of that name; also usable below `flyball run`.
ask() {
    "$E2E/ask" "$@"
}
PATH=$E2E:$PATH

# A configuration in which the double's plain port is the provider NAME: plain NAME [MORE-YAML]
plain() {
    printf 'providers: [{name: %s, hosts: ["127.0.0.1:%s"]}]\n%s\n' "$1" "$HTTP" "${2:-}" \
        > "$W/plain.yaml"
}

# client NAME: the program $W/NAME, of tests/clients/NAME.c.
client() {
    cc -O2 -g -Wall -Wextra -D_GNU_SOURCE -I"$TOP" "$CLIENTS/$1.c" -lcurl -o "$W/$1" || exit
}

# ---- Flyball ------------------------------------------------------------------------------------

status_json() {
    "$FLYBALL" status --json "$@"
}

calls_json() {
    "$FLYBALL" calls --json "$@"
}

events_json() {
    "$FLYBALL" events --json "$@"
}

# The questions that are open; whether it is one; its id.
question() {
    "$FLYBALL" approvals --json
}
asks() {
    question | jq -es 'length == 1'
}
id_of() {
    question | jq -r .checkpoint_id
}

# settled [SELECTOR...]: no call of the run is in flight, and none holds anything.
settled() {
    status_json "$@" | jq -es 'length > 0 and all(.[]; .calls.in_flight == 0 and (.held | all(tonumber == 0)))'
}

# The process that has the ledger of this test's home, empty when there is none.
sidecar_pid() {
    local pid
    for pid in $(pgrep -x flyballd); do
        # Its home is not on its command line: the lock that it holds for life tells.
        if ls -l "/proc/$pid/fd" 2> /dev/null | grep -qF " $FLYBALL_HOME/"; then
            echo "$pid"
        fi
    done
}

# end_sidecar [SIGNAL]: of this test's home, and waits until it is gone.
end_sidecar() {
    local pid
    for pid in $(sidecar_pid); do
        kill "-${1:-TERM}" "$pid"
        await "flyballd ends" gone "$pid"
    done
}

# The ledger is sound: nothing held, and verify says so.
sound() {
    check "nothing is in flight or held" until_true settled --all
    check "the ledger verifies" "$FLYBALL" verify
}

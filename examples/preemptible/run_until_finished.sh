#!/usr/bin/env bash
# Runs a command again until it succeeds:
#
#     ./run_until_finished.sh python search.py
#
# For containers and machines without systemd; the systemd unit does the same.
#
# Ends with the status of the command:
# - 0: it has finished;
# - 126, 127 or 2: it cannot be run like this, so it is not run again;
# - anything else, if this script was told to stop (SIGTERM, SIGINT, SIGHUP), which it
#   passes on as SIGTERM, or if the command was started MOST_STARTS times within
#   WITHIN seconds: a bug must not run for ever.
set -u

most_starts=${MOST_STARTS:-5}
within=${WITHIN:-3600}
pause=${PAUSE:-10}

log() { echo "[run_until_finished] $*" >&2; }

child=
stopping=
interrupted=
stop() {
    stopping=1
    interrupted=1
    [ -z "$child" ] || kill -TERM "$child" 2>/dev/null
}
trap stop TERM INT HUP

starts=()
while :; do
    # In the background, since a trap waits for what is in the foreground. A command
    # in the background does not see Ctrl-C, so it is asked to stop only once.
    "$@" &
    child=$!
    starts+=("$SECONDS")
    [ -z "$stopping" ] || kill -TERM "$child" 2>/dev/null
    # A signal ends the wait, but not the command.
    until
        interrupted=
        status=0
        wait "$child" || status=$?
        [ -z "$interrupted" ]
    do :; done
    child=

    if [ "$status" -eq 0 ]; then
        log "finished"
        exit 0
    fi
    log "ended with status $status"
    [ -z "$stopping" ] || exit "$status"
    case $status in
        2 | 126 | 127)
            log "it cannot be run like this"
            exit "$status"
            ;;
    esac

    recent=()
    for start in "${starts[@]}"; do
        [ $((SECONDS - start)) -ge "$within" ] || recent+=("$start")
    done
    starts=(${recent[@]+"${recent[@]}"})
    if [ "${#starts[@]}" -ge "$most_starts" ]; then
        log "started $most_starts times within $within seconds, so it is given up"
        exit "$status"
    fi
    # In the background as well, so that a signal does not wait for it.
    sleep "$pause" &
    wait "$!"
    if [ -n "$stopping" ]; then
        kill "$!" 2>/dev/null
        exit "$status"
    fi
done

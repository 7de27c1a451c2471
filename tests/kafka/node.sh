#!/usr/bin/env bash
# Runs one broker for as long as whoever started this script lives, and does with it what it is told.
#
#   node.sh DIR FILE_SIZE_KB COMMAND...
#
# Standard input is a pipe to the one who started it. Each line is an order, answered by one line. When the pipe
# closes, because its owner let go or was killed, the broker is killed and DIR removed: nothing is left behind.
# FILE_SIZE_KB is the size at which a file stops growing, as on a full disk; `unlimited` for none.
set -u
trap '' INT # Ctrl-C reaches the one who started this; what follows from it comes through the pipe
dir=$1 limit=$2
shift 2

from=$(stat -c %s "$dir/server.log" 2>/dev/null || echo 0)
(
    ulimit -f "$limit"
    exec "$@"
) >>"$dir/server.log" 2>&1 </dev/null &
broker=$!
echo "$broker"

gone() { # waits for the broker to be gone, at most so many tenths of a second
    local left=$1
    while kill -0 "$broker" 2>/dev/null; do
        [ "$left" -gt 0 ] || return 1
        left=$((left - 1))
        sleep 0.1
    done
}

while read -r order seconds; do
    case $order in
    ready)
        # The broker's own word, written after this start.
        if timeout "$seconds" grep -q -m1 'Kafka Server started' \
            < <(exec tail -c "+$((from + 1))" -F --pid="$broker" "$dir/server.log" 2>/dev/null); then
            echo ready
        else
            echo "not ready"
        fi
        ;;
    pause) kill -STOP "$broker" && echo paused || echo gone ;;
    resume) kill -CONT "$broker" && echo resumed || echo gone ;;
    alive) kill -0 "$broker" 2>/dev/null && echo alive || echo gone ;;
    kill)
        kill -KILL "$broker" 2>/dev/null
        wait "$broker" 2>/dev/null
        echo killed
        exit 0
        ;;
    stop)
        kill -CONT "$broker" 2>/dev/null
        kill -TERM "$broker" 2>/dev/null
        gone $((seconds * 10)) || kill -KILL "$broker" 2>/dev/null
        wait "$broker" 2>/dev/null
        echo stopped
        exit 0
        ;;
    esac
done

kill -KILL "$broker" 2>/dev/null
wait "$broker" 2>/dev/null
rm -rf "$dir"
rmdir "$(dirname "$dir")" 2>/dev/null # the last one of a cluster
exit 0

#!/usr/bin/env bash
# Follows a rollout ledger's topic on Apache Kafka with kcat, checks every entry, keeps its place in a file.
#
#   follow.sh BROKERS TOPIC STATE [--until SEQ]
#
# Needs kcat 1.7 (apt-get install kcat), Python 3.9 and the package blake3. KAFKA_PROPERTIES names a file
# with more settings of librdkafka, such as sasl.password; PYTHON another Python. Prints a line for each
# entry. Exit 0 at --until and where the ledger moved to another topic, 3 when the chain does not hold, 1 when
# asked wrongly, there is no such topic, or the cluster refuses it.
set -u
if [ $# -lt 3 ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 1
fi
brokers=$1 topic=$2 state=$3
shift 3
command -v kcat >/dev/null || { echo 'kcat is missing; type: apt-get install kcat' >&2; exit 1; }
check=("${PYTHON:-python3}" "$(dirname "$0")/check.py" "$topic" "$state")
kcat=(kcat -b "$brokers")
[ -z "${KAFKA_PROPERTIES:-}" ] || kcat+=(-F "$KAFKA_PROPERTIES")

# The last record that was checked is read once more: it must still be there.
from=$("${check[@]}" --from) || exit
# Where there is no topic, or it may not be read, this says so.
end=$("${kcat[@]}" -q -Q -t "$topic:0:-1") || exit 1
if [ -e "$state" ]; then
    if [ "${end##* }" -le "$from" ]; then
        echo "error: the topic ends at offset ${end##* }, and offset $from was read; call a person" >&2
        exit 3
    fi
fi

# One line of JSON for each record. (kcat's own formats, -f, cut a header off at its first zero byte.)
exec 3< <(exec "${kcat[@]}" -C -t "$topic" -p 0 -o "$from" -q -u -J \
    -X isolation.level=read_committed -X auto.offset.reset=error -X check.crcs=true \
    -X allow.auto.create.topics=false)
reader=$!
"${check[@]}" "$@" <&3 &
checker=$!
trap 'kill "$reader" "$checker" 2>/dev/null' EXIT
trap 'exit 1' INT TERM HUP
wait "$checker"
code=$?
# The input ended by itself: why, kcat has said.
[ "$code" -ne 4 ] || code=1
exit "$code"

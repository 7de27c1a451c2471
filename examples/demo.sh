#!/usr/bin/env bash
# The main job on an example: plans and a flag log in, answers and a filled-in plan out, a chain that
# shows a changed byte. `make demo` builds the binary first.
#
#   DEMO_DIR=DIR     work in DIR, which must hold no ledger yet, instead of a new temporary directory
#   DEMO_SERVE=0     do not serve at the end
#   ROLLOUT_LEDGER   the binary, when it is not the one of `make build`
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${ROLLOUT_LEDGER:-${CARGO_TARGET_DIR:-target}/release/rollout-ledger}
[ -x "$binary" ] || { echo "there is no binary at $binary; type: make build" >&2; exit 1; }
dir=${DEMO_DIR:-$(mktemp -d "${TMPDIR:-/tmp}/rollout-ledger-demo.XXXXXX")}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
export ROLLOUT_LEDGER_DATA=$dir/ledger LC_ALL=C.UTF-8

step() { printf '\n== %s\n' "$*"; }
shown() { printf '$ %s\n' "$*"; }
# Shows a command as anyone would type it, and runs it.
ledger() {
    shown rollout-ledger "$@"
    "$binary" "$@" 2>&1
}
fail() {
    printf 'the demo failed: %s\n' "$*" >&2
    exit 1
}

step 'Make a ledger'
shown "export ROLLOUT_LEDGER_DATA=$ROLLOUT_LEDGER_DATA"
ledger init

step 'Import five release plans: what is understood, what is blank, what contradicts itself'
for plan in appointment-reminders clinic-choice delegate-access lab-results-letter refund-status; do
    ledger plan import "examples/plans/$plan.md" --actor acct-0190
done

step 'Import the log of the flag service: no e-mail address enters the ledger'
ledger flags import examples/flags/appointment_reminders.csv --source portal-flags \
    --environment production --actors examples/flags/accounts.csv
ledger flags show appointment_reminders_enabled --at 2026-01-23

step 'Record what people did and saw, chapter by chapter'
for chapter in examples/story/*.ndjson; do
    shown rollout-ledger event append -f "$chapter"
    "$binary" event append -f "$chapter" --output jsonl >"$dir/receipts"
    last=$(tail -n 1 "$dir/receipts")
    seq=${last#*\"seq\":}
    printf '%3d events recorded; the last is entry %s\n' "$(wc -l <"$dir/receipts")" "${seq%%[!0-9]*}"
done
rm "$dir/receipts"

step 'Where is the rollout now, and what did each stage show?'
ledger rollout show appointment-reminders

step 'Did it follow its plan?'
ledger rollout deviations appointment-reminders --only broken
echo 'The first two are the story'\''s. The third is about today: the flag is still there.'

step 'The plan that was imported, with every blank filled that the ledger can fill'
shown "rollout-ledger plan export appointment-reminders >$dir/filled.md"
"$binary" plan export appointment-reminders >"$dir/filled.md" 2>"$dir/unplaced"
head -n 1 "$dir/unplaced"
printf '%s facts have no place in the plan; --append adds them as a last section\n' \
    "$(grep -c '^no place in the plan' "$dir/unplaced")"
rm "$dir/unplaced"
shown "diff examples/plans/appointment-reminders.md $dir/filled.md | head -n 34"
{ diff examples/plans/appointment-reminders.md "$dir/filled.md" || true; } >"$dir/filled.diff"
head -n 34 "$dir/filled.diff"
rm "$dir/filled.diff"

step 'The retrospective'
shown "rollout-ledger report appointment-reminders >$dir/report.md"
"$binary" report appointment-reminders >"$dir/report.md"
grep '^## ' "$dir/report.md"

step 'Verify the whole chain'
ledger verify

step 'Change one byte in a copy'
echo 'Somebody would rather have had the ticket of the rollback in time, and changes one digit.'
shown "cp -r $ROLLOUT_LEDGER_DATA $dir/copy"
cp -r "$ROLLOUT_LEDGER_DATA" "$dir/copy"
segment=$dir/copy/log/00000000000000000000.seg
late='"time":"2026-01-22T19:50:00Z"' # in the event of the ticket and nowhere else
place=$(grep -abo -m 1 "$late" "$segment" | head -n 1 | cut -d : -f 1)
[ -n "$place" ] || fail 'the byte to change was not found'
digit=$((place + 20)) # T19:50 becomes T18:50
shown "printf 8 | dd of=$segment bs=1 seek=$digit conv=notrunc"
printf 8 | dd of="$segment" bs=1 seek="$digit" conv=notrunc status=none
code=0
ledger verify "$dir/copy" || code=$?
echo "exit code $code"
[ "$code" -eq 3 ] || fail "verify of a changed copy must end with 3, and ended with $code"

if [ "${DEMO_SERVE:-1}" = 0 ]; then
    printf '\nEverything lies in %s\n' "$dir"
    exit 0
fi

step 'Serve it'
port=8080
if (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null; then port=0; fi # somebody else has it
shown "rollout-ledger serve --listen 127.0.0.1:$port"
exec {lines}< <(ROLLOUT_LEDGER_LOG=warn exec "$binary" serve --listen "127.0.0.1:$port")
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
read -r line <&"$lines" || fail 'the server did not start'
echo "$line"
url=${line#listening on }
printf '\nTry, in a browser or with curl:\n'
printf '  %s\n' "$url/api/v1/rollouts" "$url/api/v1/rollouts/appointment-reminders/stages" \
    "$url/api/v1/rollouts/appointment-reminders/report?format=md"
printf '\nEverything lies in %s\nCtrl-C stops the server.\n' "$dir"
wait "$server" || true

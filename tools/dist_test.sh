#!/usr/bin/env bash
# Evaluate in several processes, one for each GPU, or on CPUs where there is no GPU.
# Usage:       bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of test.py]
# Environment: PORT, NNODES, NODE_RANK, MASTER_ADDR

if [ $# -lt 3 ]; then
    echo "usage: bash $0 CONFIG CHECKPOINT GPUS [options of test.py]" >&2
    exit 2
fi
case "$3" in
    '' | 0* | *[!0-9]*)
        echo "GPUS must be a number of processes, 1 or more, got '$3'; usage: bash $0 CONFIG CHECKPOINT GPUS" >&2
        exit 2 ;;
esac

PYTHONPATH="$(dirname "$0")/..${PYTHONPATH:+:$PYTHONPATH}" \
exec python -m mmips.runs.launch \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$3" \
    "$(dirname "$0")/test.py" "$1" "$2" --launcher pytorch "${@:4}"

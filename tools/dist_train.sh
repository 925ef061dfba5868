#!/usr/bin/env bash
# Train in several processes, one for each GPU, or on CPUs where there is no GPU.
# Usage:       bash tools/dist_train.sh CONFIG GPUS [options of train.py]
# Environment: PORT, NNODES, NODE_RANK, MASTER_ADDR; MAX_RESTARTS, how often all processes are started
#              again when one is killed or fails: with --resume they go on by themselves

if [ $# -lt 2 ]; then
    echo "usage: bash $0 CONFIG GPUS [options of train.py]" >&2
    exit 2
fi
case "$2" in
    '' | 0* | *[!0-9]*)
        echo "GPUS must be a number of processes, 1 or more, got '$2'; usage: bash $0 CONFIG GPUS" >&2
        exit 2 ;;
esac
RESTARTS=()
if [ -n "$MAX_RESTARTS" ]; then
    # A store of its own for every start: a shared one would give out the addresses of the dead.
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
    RESTARTS=(--max_restarts="$MAX_RESTARTS" --rdzv_backend=c10d
        --rdzv_endpoint="${MASTER_ADDR:-127.0.0.1}:${PORT:-29500}")
fi

PYTHONPATH="$(dirname "$0")/..${PYTHONPATH:+:$PYTHONPATH}" \
exec python -m mmips.runs.launch \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$2" \
    "${RESTARTS[@]}" \
    "$(dirname "$0")/train.py" "$1" --launcher pytorch "${@:3}"

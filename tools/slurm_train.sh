#!/usr/bin/env bash
# Train on a Slurm cluster.
# Usage:       bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [WORK_DIR] [options of train.py]
# Environment: GPUS, GPUS_PER_NODE, CPUS_PER_TASK, SRUN_ARGS

if [ $# -lt 3 ]; then
    echo "usage: bash $0 PARTITION JOB_NAME CONFIG [WORK_DIR] [options of train.py]" >&2
    exit 2
fi
for name in GPUS GPUS_PER_NODE CPUS_PER_TASK; do
    case "${!name:-1}" in
        0* | *[!0-9]*)
            echo "$name must be a number, 1 or more, got '${!name}'" >&2
            exit 2 ;;
    esac
done
PARTITION=$1
JOB_NAME=$2
CONFIG=$3
shift 3
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
    set -- --work-dir="$1" "${@:2}"
fi

set -x
# SRUN_ARGS is a list of options, so it is left unquoted.
PYTHONPATH="$(dirname "$0")/..${PYTHONPATH:+:$PYTHONPATH}" \
srun -p "$PARTITION" \
    --job-name="$JOB_NAME" \
    --gres=gpu:"${GPUS_PER_NODE:-8}" \
    --ntasks="${GPUS:-8}" \
    --ntasks-per-node="${GPUS_PER_NODE:-8}" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    $SRUN_ARGS \
    python -u "$(dirname "$0")/train.py" "$CONFIG" --launcher=slurm "$@"

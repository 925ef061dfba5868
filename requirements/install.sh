#!/usr/bin/env bash
# Make one of the two environments: install.sh demo|test. Called by the Makefile.
#
# Safe to interrupt: an environment without its stamp is made again from the start,
# from pip's cache, except the wheel of mmcv with compiled ops, which is kept. MMCV_WHEELS names
# a page or folder of such wheels; unasked, none is fetched: we have no checksums of them.
set -euo pipefail

NAME=$1
VENV=$VENVS/$NAME
TORCH=(torch==2.10.0 torchvision==0.25.0)
MMCV=onedl-mmcv==2.3.6

step() { echo "[$NAME] $1"; }
fail() { echo "[$NAME] $1" >&2; exit 1; }
pip() { "$VENV/bin/python" -m pip --disable-pip-version-check "$@"; }
install() { pip install -q -c requirements/constraints.txt "$@"; }
need_compiler() {
    command -v "${CXX:-c++}" > /dev/null || command -v g++ > /dev/null ||
        fail "mmcv's ops need a C++ compiler: install one (Debian, Ubuntu: apt-get install g++)"
    "$PYTHON" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
        fail "mmcv's ops need Python.h: install Python's headers (Debian, Ubuntu: apt-get install python3-dev)"
}
# A ready wheel fits one Python, one torch and one platform: pip chooses by the first and the last,
# and loading the compiled part shows the second.
ready_wheel() {
    [ -n "${MMCV_WHEELS:-}" ] &&
        pip download -q --no-index --find-links "$MMCV_WHEELS" --only-binary :all: --no-deps \
            --retries 0 --timeout 5 -d "$1" "$MMCV" 2> /dev/null &&
        pip install -q --no-deps --force-reinstall "$1"/*.whl &&
        "$VENV/bin/python" -c 'import sys, sysconfig, torch; sys.path.insert(0, sysconfig.get_path("platlib") + "/mmcv"); import _ext' \
            2> /dev/null
}

command -v "$PYTHON" > /dev/null || fail "no '$PYTHON' here: install Python 3.10 to 3.13, or name it: make $NAME PYTHON=..."
"$PYTHON" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' ||
    fail "$("$PYTHON" --version 2>&1) does not fit: name a Python from 3.10 to 3.13: make $NAME PYTHON=python3.11"
"$PYTHON" -c 'import ensurepip, venv' 2> /dev/null ||
    fail "this Python cannot make environments: install its venv module (Debian, Ubuntu: apt-get install python3-venv)"
[ "$NAME" = demo ] || [ -n "${MMCV_WHEELS:-}" ] || need_compiler

# The marker stays behind when an install is interrupted: then half of a package may
# lie there and pip may take it for whole, so that only a new start is safe.
if [ -e "$VENV/.installing" ] || ! pip --version > /dev/null 2>&1; then
    step "making $VENV (10 s)"
    "$PYTHON" -m venv --clear "$VENV"
fi
rm -f "$VENV"/.stamp-*
touch "$VENV/.installing"

# The ordinary builds, which bring CUDA and run on a CPU too: torchvision has no
# CPU build to match a CPU-only torch of this version.
step "installing torch 2.10 (3 GB to download the first time; 1 to 4 minutes)"
install "${TORCH[@]}" numpy

if [ "$NAME" = demo ]; then
    # An isolated build cannot see torch and leaves the ops out: quick, and enough for
    # classification. Not from pip's cache, which cannot tell it from the complete wheel.
    step "installing mmcv without compiled ops (10 s)"
    install --no-cache-dir --no-deps "$MMCV"
    step "installing mmengine, mmpretrain and mmips (1 minute)"
    install -e '.[cls,demo]'
else
    step "installing what the mmcv build needs (5 s)"
    install 'setuptools>=80,<82' wheel ninja psutil
    TAG=$("$VENV/bin/python" -c 'import sys, torch; print(f"{sys.version_info[0]}{sys.version_info[1]}-{torch.__version__}")')
    WHEELS=$VENVS/mmcv-ops-$TAG
    if ! ls "$WHEELS"/*.whl > /dev/null 2>&1; then
        rm -rf "$WHEELS.part"
        if ready_wheel "$WHEELS.part"; then
            step "mmcv's compiled ops: a ready wheel from $MMCV_WHEELS"
        else
            step "mmcv's compiled ops: ${MMCV_WHEELS:+no ready wheel that fits in $MMCV_WHEELS, }building them (6 minutes on two cores)"
            need_compiler
            rm -rf "$WHEELS.part"
            pip wheel -q --no-cache-dir --no-deps --no-build-isolation -w "$WHEELS.part" "$MMCV"
        fi
        mv "$WHEELS.part" "$WHEELS"
    fi
    pip install -q --no-deps --force-reinstall "$WHEELS"/*.whl
    step "installing mmpretrain, mmseg, mmdet, the test tools and mmips (1 to 2 minutes)"
    install -e '.[cls,seg,det,eval,dev]'
    "$VENV/bin/python" -c 'import mmcv.ops' || fail "mmcv came without its ops: remove $WHEELS, then run make test"
fi

# mmcv asks for opencv-python, which needs libGL and an X library; a server has
# neither. The headless build has the same files, and the last one installed wins.
step "installing OpenCV's headless build (5 s)"
install --no-deps --force-reinstall opencv-python-headless
"$VENV/bin/python" -W error::UserWarning -c 'import cv2, mmips' || fail "the new environment does not work, see above"

rm "$VENV/.installing"
touch "$STAMP"

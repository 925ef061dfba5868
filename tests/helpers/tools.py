"""Command line tools from tests: imported, or started as a process."""
import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from helpers.configs import ROOT


def load_tool(name):
    """Import a tool by its path below ``tools/``."""
    spec = importlib.util.spec_from_file_location(f'tool_{Path(name).stem}', ROOT / 'tools' / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*command, **environment):
    """Run a command of this Python with mmips on its path; returns the finished process."""
    path = [str(ROOT), os.environ.get('PYTHONPATH', '')]
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, path)), OMP_NUM_THREADS='1',
               CUDA_VISIBLE_DEVICES='-1', **environment)
    env['PATH'] = os.path.dirname(sys.executable) + os.pathsep + env['PATH']
    env.pop('LOCAL_RANK', None)
    return subprocess.run([str(part) for part in command], env=env, capture_output=True, text=True,
                          timeout=300)


def free_port():
    """A port that nobody listens to."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def run_here(tasks, jobs, devices=()):
    """An engine of sweeps that does one task after the other, in this process."""
    return ((task, task()) for task in tasks)


def read_scalars(work_dir):
    """All logged scalars of a work directory, oldest first."""
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]

# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The same log, read at the interval only."""
import json
from pathlib import Path

import pytest


def read(runner):
    lines = (Path(runner.work_dir) / runner.timestamp / 'vis_data' / 'scalars.json').read_text()
    steps = [json.loads(line) for line in lines.splitlines()]
    return [{key: value for key, value in step.items() if 'time' not in key} for step in steps]


@pytest.mark.parametrize('interval', [2, 100])
def test_logs_what_mmengines_hook_logs(make_runner, interval):
    """Every number of the log, with validation and steps that no interval ends at."""
    plain = make_runner(work_dir='plain', **{'default_hooks.logger.interval': interval})
    plain.train()
    lazy = make_runner(work_dir='lazy', **{
        'default_hooks.logger.interval': interval,
        'default_hooks.runtime_info': dict(type='mmips.LazyRuntimeInfoHook')})
    lazy.train()
    assert read(lazy) == read(plain)
    assert any('loss_kd' in step for step in read(lazy))

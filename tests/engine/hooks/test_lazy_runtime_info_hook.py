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


@pytest.mark.parametrize('window, kept', [('epoch', 3), (4, 4), ('global', 9)])
def test_history_is_kept_as_long_as_the_log_needs_it(make_runner, window, kept):
    """Of three steps an epoch; mmengine keeps a million values and copies them for each new one."""
    processor = dict(type='LogProcessor', window_size=2, custom_cfg=[dict(
        data_src='loss_kd', log_name='mean_kd', method_name='mean', window_size=window)])
    runners = []
    for name in ('RuntimeInfoHook', 'mmips.LazyRuntimeInfoHook'):
        runners.append(make_runner(work_dir=name, log_processor=processor, **{
            'default_hooks.runtime_info': dict(type=name)}))
        runners[-1].train()
    plain, lazy = runners
    assert read(lazy) == read(plain) and 'mean_kd' in read(lazy)[-2]
    buffers = lazy.message_hub.log_scalars
    assert len(buffers['train/loss_kd'].data[0]) == kept
    assert len(buffers['train/lr'].data[0]) <= kept + 1

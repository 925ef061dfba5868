from contextlib import nullcontext

import pytest
from helpers.configs import load
from mmengine.config import Config

from mmips.config.pair_checks import check_config
from mmips.config.strategies import wrap_on_cpu
from mmips.errors import UserError


def test_flexible_runners_strategy_gets_the_wrapper():
    cfg = Config(dict(runner_type='FlexibleRunner', find_unused_parameters=True))
    wrap_on_cpu(cfg, 'Ours')
    assert cfg.strategy == dict(type='DDPStrategy', model_wrapper=dict(
        type='Ours', device_ids=None, broadcast_buffers=False, find_unused_parameters=True))
    wrap_on_cpu(cfg, 'Ours')
    assert cfg.strategy.model_wrapper.find_unused_parameters


def test_a_strategy_for_gpus_is_refused_without():
    cfg = Config(dict(runner_type='FlexibleRunner', strategy=dict(type='FSDPStrategy')))
    with pytest.raises(UserError, match="strategy.type='FSDPStrategy' cannot run without a GPU"):
        wrap_on_cpu(cfg, 'Ours')


@pytest.mark.parametrize('options, resume, words', [
    ({}, False, "strategy.state_dict_cfg = 'local'.*'full'"),
    ({'state_dict_cfg': 'full'}, True, 'strategy.type.*can resume.*by load_from'),
    ({'state_dict_cfg': 'full'}, False, None),
    ({'state_dict_cfg': dict(state_dict_type='FULL_STATE_DICT', state_dict_config=dict(
        type='FullStateDictConfig'))}, False, None)])
def test_what_fsdp_cannot_do_is_refused(options, resume, words):
    cfg = load('ips/resnet-s_ips_digits.py')
    cfg.merge_from_dict(dict(runner_type='FlexibleRunner', resume=resume,
                             strategy=dict(type='FSDPStrategy', **options)))
    with pytest.raises(UserError, match=f'(?s){words}') if words else nullcontext():
        check_config(cfg)

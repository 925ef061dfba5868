# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""bfloat16 without a GPU."""
import pytest
import torch
from mmengine.registry import OPTIM_WRAPPERS

from mmips.errors import UserError


def build(model):
    return OPTIM_WRAPPERS.build(dict(
        type='mmips.BFloat16OptimWrapper', optimizer=torch.optim.SGD(model.parameters(), lr=.1)))


def test_forward_in_bfloat16_weights_in_float32(monkeypatch):
    """Autocast inside the context alone; the step is an ordinary one."""
    monkeypatch.setattr(torch.cpu, '_is_avx512_bf16_supported', lambda: True)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    model = torch.nn.Linear(3, 2)
    before, wrapper = model.weight.clone(), build(model)
    with wrapper.optim_context(model):
        out = model(torch.ones(4, 3))
    assert out.dtype == torch.bfloat16 and model(torch.ones(4, 3)).dtype == torch.float32
    wrapper.update_params(out.float().sum())
    torch.testing.assert_close(model.weight, before - 0.1 * 4)


def test_refused_where_it_would_be_slow(monkeypatch):
    """The reason and the remedy are said."""
    monkeypatch.setattr(torch.cpu, '_is_avx512_bf16_supported', lambda: False)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(UserError, match='this cpu has no bfloat16 arithmetic. Write .*--amp out'):
        build(torch.nn.Linear(3, 2))
    # A GPU that emulates it, of which torch says that it is supported.
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda *args, **kwargs: True)
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda: (7, 5))
    with pytest.raises(UserError, match='this cuda has no bfloat16 arithmetic'):
        build(torch.nn.Linear(3, 2))

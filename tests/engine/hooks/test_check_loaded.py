"""Whatever is loaded fills the whole model."""
import pytest
import torch

from mmips.engine.hooks import CheckLoaded
from mmips.errors import UserError


@pytest.fixture
def saved(make_runner, tmp_path):
    """The state dict of a runner's own model, with other values, and a function that loads one."""
    def load(state, **options):
        path = str(tmp_path / 'x.pth')
        torch.save(dict(state_dict=state), path)
        runner = make_runner(work_dir=f'run{len(list(tmp_path.iterdir()))}', load_from=path,
                             **options)
        if not options:
            runner.register_hook(CheckLoaded())
        runner.load_or_resume()
        return runner.model.state_dict()

    state = make_runner(work_dir='first').model.state_dict()
    return {key: value + 1 for key, value in state.items()}, load


def test_a_whole_file_is_loaded_silently(saved):
    state, load = saved
    for prefix in ('', 'module.'):
        found = load({prefix + key: value for key, value in state.items()})
        assert all(torch.equal(found[key], value) for key, value in state.items())


@pytest.mark.parametrize('change, words', [
    (lambda state: {}, r'(?s)x.pth is not a checkpoint of this config.*missing in the file'),
    (lambda state: {f'net.{key}': value for key, value in state.items()}, 'missing in the file'),
    (lambda state: {key: value for key, value in state.items() if 'head' not in key},
     r"(?s)2 missing in the file: head.fc.*init_cfg=dict\(type='Pretrained', .*prefix='backbone."),
    (lambda state: {**state, 'head.fc.weight': torch.ones(7, 16)},
     r'(?s)head.fc.weight \(7, 16\) instead of \(4, 16\).*Give the config that it was'),
    (lambda state: {**state, 'backbone.layer9.conv.weight': torch.ones(1)},
     '1 unknown to the config: backbone.layer9')])
def test_another_file_is_refused(saved, change, words):
    state, load = saved
    with pytest.raises(UserError, match=words):
        load(change(state))


def test_who_means_to_train_is_told_how_to_name_a_new_head(make_runner, saved, tmp_path):
    state, _ = saved
    torch.save({**state, 'head.fc.weight': torch.ones(7, 16)}, tmp_path / 'x.pth')
    runner = make_runner(load_from=str(tmp_path / 'x.pth'))
    runner.register_hook(CheckLoaded())
    with pytest.raises(UserError, match=r"meant to start anew, name them: .*allow=\['head.\*'\]"):
        runner.train()


def test_a_new_head_is_named(saved):
    state, load = saved
    found = load({**state, 'head.fc.weight': torch.ones(7, 16), 'head.fc.bias': torch.ones(7)},
                 custom_hooks=[dict(type='mmips.CheckLoaded', allow=['head.*'])])
    assert found['head.fc.weight'].shape == (4, 16)
    assert torch.equal(found['backbone.conv1.weight'], state['backbone.conv1.weight'])


def test_allow_is_a_list():
    with pytest.raises(ValueError, match=r"allow must be a list of names, got 'head'"):
        CheckLoaded(allow='head')

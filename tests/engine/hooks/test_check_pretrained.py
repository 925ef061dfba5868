import logging

import pytest
import torch
from mmpretrain.models import ResNet_CIFAR

TINY = dict(num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2, ),
            stem_channels=4, base_channels=4, zero_init_residual=False)


@pytest.fixture
def published(tmp_path):
    """Function: path of a checkpoint with a backbone of some depth below some prefix."""

    def save(prefix='backbone.', depth=18, **options):
        torch.manual_seed(1)
        state = ResNet_CIFAR(depth, **{**TINY, **options}).state_dict()
        state = {prefix + key: value for key, value in state.items()}
        # Heads are nobody's business here.
        state['head.fc.weight' if prefix else 'fc.weight'] = torch.zeros(7, 16)
        torch.save(dict(state_dict=state), tmp_path / 'published.pth')
        return str(tmp_path / 'published.pth')

    return save


@pytest.fixture
def from_checkpoint(make_runner, caplog):
    """Function: a runner that starts from a checkpoint; its log is in ``caplog``."""

    def make(path, prefix='backbone.', **options):
        runner = make_runner(**{
            'model.backbone.init_cfg': dict(type='Pretrained', checkpoint=path, prefix=prefix),
            'custom_hooks': [dict(type='mmips.CheckPretrained')], 'train_cfg.max_epochs': 1,
            **options})
        runner.logger.addHandler(caplog.handler)
        caplog.set_level(logging.INFO, logger=runner.logger.name)
        return runner

    return make


@pytest.mark.parametrize('there, prefix', [
    ('backbone.', 'backbone.'), ('backbone.', 'backbone'), ('', None), ('module.', None),
    ('model.backbone.', 'model.backbone.')])
def test_says_in_one_line_that_all_is_well(published, from_checkpoint, caplog, there, prefix):
    runner = from_checkpoint(published(there), prefix)
    runner.train()
    assert runner.iter == 3
    tensors = sum(value.is_floating_point() for value in
                  runner.model.backbone.state_dict().values())
    said = [r.getMessage() for r in caplog.records if 'CheckPretrained: ' in r.getMessage()]
    assert said == [f'CheckPretrained: all {tensors} tensors of the backbone come from its '
                    'checkpoint.']


@pytest.mark.parametrize('there, prefix, message', [
    ('backbone.', None, r"missing in the file, the first is 'conv1\.weight'.*wrong prefix: "
     r"set prefix='backbone\.'.*MMIPS_CKPT_PREFIX=backbone\. "),
    ('', 'backbone.', "no key of the file has this prefix; its first is 'conv1.weight'.*"
     'prefix=None.*MMIPS_CKPT_PREFIX=none '),
    ('model.', 'head.', r"tensors are missing in the file.*set prefix='model\.'"),
])
def test_wrong_prefix(published, from_checkpoint, there, prefix, message):
    runner = from_checkpoint(published(there), prefix)
    with pytest.raises(ValueError, match=message):
        runner.train()
    assert runner.iter == 0


@pytest.mark.parametrize('options, message', [
    (dict(depth=34), r"\d+ tensors are too many in the file, the first is 'layer1\.2\.conv1\."),
    (dict(depth=50), r"of another shape, the first is 'layer1\.0\.conv1\.weight' \(\(4, 4, 1, 1\) "
     r"in the file, \(4, 4, 3, 3\) in the model\); .*too many.*'layer1\.0\.conv3\.weight'"),
    (dict(depth=18, base_channels=8), "tensors are of another shape, the first is 'layer1"),
])
def test_another_network(published, from_checkpoint, options, message):
    runner = from_checkpoint(published(**options))
    with pytest.raises(ValueError, match=message) as caught:
        runner.train()
    assert 'another network or depth' in str(caught.value) and runner.iter == 0


def test_a_stage_that_the_backbone_leaves_out_does_not_matter(published, from_checkpoint):
    path = published(num_stages=4, strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1), out_indices=(3, ))
    runner = from_checkpoint(path)
    runner.train()
    assert runner.iter == 3


def allowing(path, *names):
    hook = dict(type='mmips.CheckPretrained', allow=list(names))
    return dict(path=path, custom_hooks=[hook])


def test_exceptions_are_named_and_counted(published, from_checkpoint, caplog):
    path = published()
    content = torch.load(path)
    del content['state_dict']['backbone.conv1.weight']
    del content['state_dict']['backbone.layer1.0.bn1.running_var']
    torch.save(content, path)
    runner = from_checkpoint(**allowing(path, 'conv1.weight'))
    with pytest.raises(ValueError, match="1 tensors are missing in the file, the first is "
                       "'layer1.0.bn1.running_var'"):
        runner.train()
    caplog.clear()
    from_checkpoint(**allowing(path, 'conv1.weight', 'layer1.*.running_var')).train()
    said, = [r.getMessage() for r in caplog.records if 'CheckPretrained: ' in r.getMessage()]
    # Two blocks of two, of which one was missing: the name allows all of them.
    assert "but for 5 that are allowed not to, the first is 'conv1.weight'" in said


@pytest.mark.parametrize('allow, message', [
    (['stem.*'], r"'stem\.\*' is the name of no tensor of the backbone, whose first is "
     r"'conv1\.weight'. Correct it"),
    ('conv1.weight', r"allow must be a list of names, got 'conv1\.weight'")])
def test_refuses_an_exception_that_is_none(published, from_checkpoint, allow, message):
    with pytest.raises(ValueError, match=message):
        from_checkpoint(published(), custom_hooks=[
            dict(type='mmips.CheckPretrained', allow=allow)]).train()


def test_a_file_that_was_never_loaded(published, from_checkpoint):
    runner = from_checkpoint(published())
    runner.model.backbone.init_weights = lambda: None
    with pytest.raises(ValueError, match='tensors are of another value than in the file, the '
                       "first is 'conv1.weight'"):
        runner.train()


def test_a_resumed_run_is_not_compared(published, from_checkpoint, caplog):
    path = published()
    from_checkpoint(path).train()
    caplog.clear()
    resumed = from_checkpoint(path, resume=True, **{'train_cfg.max_epochs': 2})
    resumed.train()
    assert resumed.iter == 6
    assert 'not compared with its init_cfg' in caplog.text and 'come from' not in caplog.text


def test_a_test_does_not_need_the_file(from_checkpoint):
    assert 'accuracy/top1' in from_checkpoint('nowhere.pth').test()


def test_refuses_a_model_without_checkpoint(make_runner):
    runner = make_runner(custom_hooks=[dict(type='mmips.CheckPretrained')])
    with pytest.raises(ValueError, match='found no init_cfg=.*Set it, or remove the hook'):
        runner.train()

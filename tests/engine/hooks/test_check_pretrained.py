import logging
import re
from types import SimpleNamespace

import pytest
import torch
from mmengine.runner import EpochBasedTrainLoop
from mmpretrain.models import ResNet_CIFAR, SwinTransformer

from mmips.engine.hooks import CheckPretrained
from mmips.errors import UserError

TINY = dict(depth=18, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2, ),
            stem_channels=4, base_channels=4, zero_init_residual=False)
FOUR_STAGES = dict(num_stages=4, strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1), out_indices=(3, ))


@pytest.fixture
def published(tmp_path):
    """Function: path of a checkpoint with a backbone of some depth below some prefix."""

    def save(prefix='backbone.', drop=(), **options):
        torch.manual_seed(1)
        state = ResNet_CIFAR(**{**TINY, **options}).state_dict()
        state = {prefix + key: value for key, value in state.items() if key not in drop}
        # Heads are nobody's business here.
        state['head.fc.weight' if prefix else 'fc.weight'] = torch.zeros(7, 16)
        torch.save(dict(state_dict=state), tmp_path / 'published.pth')
        return str(tmp_path / 'published.pth')

    return save


@pytest.fixture
def check(caplog):
    """Function: what the hook says of a tiny backbone that starts from a file."""

    def start(path='', prefix='backbone.', allow=(), load=True, backbone=None):
        torch.manual_seed(0)
        backbone = backbone or ResNet_CIFAR(**TINY, init_cfg=dict(
            type='Pretrained', checkpoint=path, prefix=prefix))
        runner = SimpleNamespace(
            model=SimpleNamespace(backbone=backbone), iter=0, logger=logging.getLogger('hook'),
            _train_loop=object.__new__(EpochBasedTrainLoop))
        caplog.set_level(logging.INFO, logger='hook')
        hook = CheckPretrained(allow)
        hook.before_run(runner)
        if load:
            backbone.init_weights()
        hook.before_train(runner)
        return [said.getMessage() for said in caplog.records if said.name == 'hook']

    return start


@pytest.mark.parametrize('there, prefix, options', [
    ('backbone.', 'backbone.', {}), ('backbone.', 'backbone', {}), ('', None, {}),
    ('module.', None, {}),
    ('backbone.', 'auto', {}), ('', 'auto', {}), ('module.', 'auto', {}),
    ('module.backbone.', 'auto', {}), ('backbone.', 'auto', FOUR_STAGES),
    # A stage that the backbone leaves out.
    ('backbone.', 'backbone.', FOUR_STAGES)])
def test_says_in_one_line_that_all_is_well(published, check, there, prefix, options):
    tensors = sum(value.is_floating_point() for value in ResNet_CIFAR(**TINY).state_dict().values())
    assert check(published(there, **options), prefix) == [
        f'CheckPretrained: all {tensors} tensors of the backbone come from its checkpoint.']


@pytest.mark.parametrize('there, prefix, options, message', [
    ('backbone.', None, {}, r'\d+ missing in the file: conv1\.weight, .*wrong prefix: '
     r"set prefix='backbone\.'.*MMIPS_CKPT_PREFIX=backbone\. "),
    ('', 'backbone.', {}, r"\(prefix='backbone\.'\).*\d+ missing.*prefix=None.*PREFIX=none "),
    ('model.', 'head.', {}, r"missing in the file.*set prefix='model\.'"),
    ('backbone.', 'auto', dict(depth=34), r"prefix='backbone\.'.*another network or depth"),
    ('backbone.', 'backbone.', dict(depth=34),
     r'unknown to the backbone: layer1\.2\.conv1\..*another network or depth'),
    ('backbone.', 'backbone.', dict(depth=50), r'unknown.*: layer1\.0\.conv3\.weight.*of another '
     r'shape: layer1\.0\.conv1\.weight \(4, 4, 1, 1\) instead of \(4, 4, 3, 3\).*another network')])
def test_wrong_prefix_or_network(published, check, there, prefix, options, message):
    with pytest.raises(UserError, match=f'(?s){message}'):
        check(published(there, **options), prefix, load=prefix != 'head.')


def test_a_file_that_holds_the_backbone_twice_wants_a_prefix(published, check):
    content = torch.load(path := published('encoder.'))
    content['state_dict'] |= {f'momentum_{key}': value
                              for key, value in content['state_dict'].items()}
    torch.save(content, path)
    with pytest.raises(UserError, match=r"below each of \['encoder\.', 'momentum_encoder\.'\]: set "
                       r'one of them as prefix in model\.backbone\.init_cfg \(MMIPS_CKPT_PREFIX'):
        check(path, 'auto')
    assert check(path, 'momentum_encoder.')


def test_older_names_that_the_backbone_itself_knows(tmp_path, check):
    """As mmpretrain's published Swin transformers have them."""
    swin = dict(embed_dims=8, depths=[2, 1, 1, 1], num_heads=[1, 1, 1, 1])
    torch.manual_seed(1)
    state = SwinTransformer(swin, img_size=56).state_dict()
    old = {f'backbone.{re.sub(r"^norm3", "norm", key)}': value
           for key, value in state.items()}
    assert 'backbone.norm.weight' in old
    old['backbone.stages.0.blocks.1.attn.attn_mask'] = torch.zeros(4, 49, 49)
    torch.save(dict(state_dict=old), path := str(tmp_path / 'swin.pth'))
    backbone = SwinTransformer(swin, img_size=56, init_cfg=dict(
        type='Pretrained', checkpoint=path, prefix='auto'))
    assert re.match(r'CheckPretrained: all 80 tensors of the backbone', check(backbone=backbone)[0])
    del old['backbone.norm.weight']
    torch.save(dict(state_dict=old), path)
    with pytest.raises(UserError, match=r'1 missing in the file: norm3\.weight'):
        check(backbone=backbone)


def test_exceptions_are_named_and_counted(published, check):
    path = published(drop=['conv1.weight', 'layer1.0.bn1.running_var'])
    with pytest.raises(UserError, match='1 missing in the file: layer1.0.bn1.running_var'):
        check(path, allow=['conv1.weight'])
    # Two blocks of two, of which one was missing: the name allows all of them.
    said, = check(path, allow=['conv1.weight', 'layer1.*.running_var'])
    assert "but for 5 that are allowed not to, the first is 'conv1.weight'" in said
    with pytest.raises(UserError, match=r"'stem\.\*' is the name of no tensor of the backbone, "
                       r"whose first is 'conv1\.weight'. Correct it"):
        check(path, allow=['stem.*'])
    with pytest.raises(ValueError, match=r"allow must be a list of names, got 'conv1\.weight'"):
        CheckPretrained('conv1.weight')


def test_a_file_that_was_never_loaded(published, check):
    with pytest.raises(UserError, match='of another value than in the file: conv1.weight'):
        check(published(), load=False)


def from_checkpoint(make_runner, path, prefix='backbone.', **options):
    init = path and dict(type='Pretrained', checkpoint=path, prefix=prefix)
    return make_runner(**{
        'model.backbone.init_cfg': init, 'custom_hooks': [dict(type='mmips.CheckPretrained')],
        'train_cfg.max_epochs': 1, **options})


def test_a_run_ends_before_its_first_step_and_a_resumed_one_is_not_compared(
        published, make_runner, caplog):
    path = published()
    runner = from_checkpoint(make_runner, path, prefix=None)
    with pytest.raises(UserError, match='wrong prefix'):
        runner.train()
    assert runner.iter == 0
    from_checkpoint(make_runner, path).train()
    resumed = from_checkpoint(make_runner, path, resume=True, **{'train_cfg.max_epochs': 2})
    resumed.logger.addHandler(caplog.handler)
    caplog.set_level(logging.INFO, logger=resumed.logger.name)
    resumed.train()
    assert resumed.iter == 6
    assert 'not compared with its init_cfg' in caplog.text and 'come from' not in caplog.text
    # A test does not need the file.
    assert 'accuracy/top1' in from_checkpoint(make_runner, 'nowhere.pth').test()
    with pytest.raises(UserError, match='found no init_cfg=.*Set it, or remove the hook'):
        from_checkpoint(make_runner, None).train()

import pytest
from helpers.logs import line, write_run
from mmengine.config import Config
from mmengine.logging import HistoryBuffer

import mmips
from mmips.errors import MissingFileError, UserError
from mmips.runs.provenance import describe, find_top1


def checkpoint(scores=(), best=None, **meta):
    info = {} if best is None else dict(best_ckpt=f'/elsewhere/run/{best}', best_score=max(scores))
    scalars = {'val/accuracy/top1': HistoryBuffer(list(scores), [1] * len(scores))}
    return dict(meta=meta, message_hub=dict(runtime_info=info,
                                            log_scalars=scalars if scores else {}))


@pytest.fixture
def log(tmp_path):
    """A scalars.json of four epochs, with 100 iterations each."""
    folder = write_run(tmp_path, [line(100, 100), *(
        {'accuracy/top1': 50. + epoch, 'time': 0.1, 'step': epoch} for epoch in (1, 2, 3, 4))])
    return f'{folder}/20260100_000000/vis_data/scalars.json'


def test_describe_a_training_checkpoint():
    cfg = Config.fromfile(mmips.cfg('ips/resnet50_ips_in1k.py'))
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='/elsewhere/x.pth')
    facts, config, notes = describe(checkpoint(
        cfg=cfg.pretty_text, epoch=7, iter=700, seed=0, dataset_meta=dict(classes=('cat', 'dog')),
        experiment_name='resnet50_ips_in1k_20260102_030405'), '/elsewhere/run/epoch_7.pth')
    assert facts == dict(
        config='resnet50_ips_in1k', dataset='ImageNet', epoch=7, iter=700, seed=0,
        source='epoch_7.pth', classes=['cat', 'dog'], mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375], channel_order='RGB', input_size=[224, 224], crop_pct=0.875,
        interpolation='bilinear', backbone=dict(type='ResNet', depth=50, num_stages=4,
                                                out_indices=[3], style='pytorch'))
    # Plain all the way down, so that torch.load(weights_only=True) reads it.
    assert type(facts['backbone']) is dict and type(facts['backbone']['out_indices']) is list
    assert config.to_dict() == cfg.to_dict() and notes == []


@pytest.mark.parametrize('meta, words', [
    ({}, 'no config of the network'),
    (dict(cfg='import absent'), 'cannot be read (ValueError: it is no printed config')])
def test_what_is_not_known_is_left_out_and_said(meta, words):
    facts, config, notes = describe(checkpoint(epoch=0, **meta), 'a/b.pth')
    assert facts == dict(source='b.pth') and not config
    assert words in notes[0]


@pytest.mark.parametrize('scores, best, meta, found', [
    # Saved before its validation: the last score is of epoch 2.
    ([51., 52.], 'best_accuracy_top1_epoch_2.pth', dict(epoch=3, iter=300), None),
    ([51., 52., 53.], 'best_accuracy_top1_epoch_3.pth', dict(epoch=3, iter=300), 53.),
    ([51., 52.], 'best_accuracy_top1_iter_200.pth', dict(epoch=0, iter=200), 52.),
    # An iteration is no epoch.
    ([51., 52.], 'best_accuracy_top1_iter_3.pth', dict(epoch=3, iter=300), None),
    # Best by another measure: the score of this moment, not the best one of the run.
    ([53., 52.], 'best_single-label_precision_epoch_2.pth', dict(epoch=2, iter=200), 52.),
    ([], None, dict(epoch=3), None),
])
def test_top1_of_the_checkpoint_itself(scores, best, meta, found):
    result = find_top1(checkpoint(scores, best, **meta), {})
    assert result == (None if found is None else (found, 'checkpoint'))


def test_top1_of_the_log(log):
    assert find_top1(checkpoint([51., 52.], epoch=3), {}, log) == (53., 'log')
    assert find_top1(checkpoint(epoch=1), {}, log) == (51., 'log')
    best = checkpoint([51., 52.], 'best_x_epoch_2.pth', epoch=2)
    assert find_top1(best, {}, log) == (52., 'log')
    by_iter = dict(default_hooks=dict(logger=dict(log_metric_by_epoch=False)))
    assert find_top1(checkpoint(epoch=1, iter=4), by_iter, log) == (54., 'log')


@pytest.mark.parametrize('given, words', [
    (checkpoint(epoch=5), r'0 values of accuracy/top1 for epoch 5, .* \[1, 2, 3, 4\]'),
    (checkpoint(epoch=0, iter=300), 'for iter 300, .*or --top1'),
    (checkpoint([11., 12.], epoch=3), 'of another run'),
    (checkpoint([51., 55.], 'best_x_epoch_2.pth', epoch=2), 'of another run'),
])
def test_logs_that_do_not_belong_are_refused(log, given, words):
    with pytest.raises(UserError, match=words):
        find_top1(given, {}, log)
    with pytest.raises(MissingFileError, match='--log absent.json: there is no such file'):
        find_top1(given, {}, 'absent.json')


class Odd:
    """What JSON and torch's safe loading do not know."""


@pytest.mark.parametrize('meta, left_out', [
    (dict(epoch=float('nan')), 'epoch'), (dict(epoch='three'), 'epoch'), (dict(iter=[1]), 'iter'),
    (dict(seed=Odd()), 'seed'), (dict(config=7), 'config'), (dict(config='x' * 501), 'config'),
    (dict(mean='abc'), 'mean'), (dict(std=[1, 2, float('nan')]), 'std'),
    (dict(backbone=dict(norm=Odd())), 'backbone'), (dict(top1=float('nan')), 'top1'),
    (dict(top1=101), 'top1'), (dict(weights='x'), 'weights'), (dict(input_size='ab'), 'input_size'),
    (dict(dataset_meta=dict(classes='cat')), 'classes'),
    (dict(dataset_meta=dict(classes={'cat': 0})), 'classes'),
    (dict(dataset_meta=dict(classes=5)), 'classes')])
def test_facts_of_a_wrong_type_are_left_out_and_said(meta, left_out):
    facts, _, notes = describe(checkpoint(**meta), 'b.pth')
    assert facts == dict(source='b.pth')
    assert notes[0].startswith(f'{left_out} left out: the checkpoint says ') and len(notes) == 2


@pytest.mark.parametrize('cfg', [
    5, b'x', 'x =', '\0', 'model = 5', 'model = dict(backbone="x")', 'train_dataloader = 5',
    'data_preprocessor = dict(mean="abc")', 'raise_ = 1 / 0'])
def test_a_config_that_is_none_is_left_out_and_said(cfg):
    facts, config, notes = describe(checkpoint(cfg=cfg), 'b.pth')
    assert facts == dict(source='b.pth') and not config
    assert notes[0].startswith('the stored config cannot be read (') and len(notes[0]) < 400


@pytest.mark.parametrize('content', [
    dict(meta=[1], message_hub=5), dict(meta='x', message_hub=dict(log_scalars=5)), {},
    dict(meta=dict(dataset_meta=[1]), message_hub=dict(runtime_info=[1], log_scalars={
        'val/accuracy/top1': 5})),
    dict(meta=dict(epoch=2), message_hub=dict(
        runtime_info={5: 6, 'best_ckpt': 'x_epoch_2.pth'}, log_scalars={
            'val/accuracy/top1': HistoryBuffer([float('nan')], [1])}))])
def test_whatever_stands_in_the_place_of_meta_and_scores(content, log):
    assert set(describe(content, 'b.pth')[0]) <= {'source', 'epoch'}
    assert find_top1(content, {}) is None
    if content.get('meta') == dict(epoch=2):
        with pytest.raises(UserError, match=r'of another run: .* knows \(\[nan\]\)'):
            find_top1(content, Config(dict(default_hooks=5)), log)

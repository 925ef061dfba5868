"""Resume: what has to be the same, what has no effect and what changes."""
import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook

from mmips.config.stored import flatten, read_stored
from mmips.engine.hooks import CheckLoaded
from mmips.errors import UserError
from mmips.runs import resuming


@pytest.fixture
def resume(make_runner, tmp_path):
    """Function: save a run of an epoch, then resume it with options; returns what the log says."""

    def resume(change=None, name='ips/resnet-s_ips_npz.py', **options):
        first = make_runner(work_dir='first', **{'train_cfg.max_epochs': 1})
        first.register_hook(resuming.ResumeCheck())
        first.train()
        path = tmp_path / 'first' / 'epoch_1.pth'
        if change:
            content = torch.load(path, weights_only=False)
            change(content)
            torch.save(content, path)
        second = make_runner(name, work_dir='second', resume=True, load_from=str(path), **{
            'train_cfg.max_epochs': 2, **options})
        second.register_hook(CheckLoaded())
        second.register_hook(resuming.ResumeCheck())
        said = []
        second.logger.addHandler(handler := logging.Handler())
        handler.emit = lambda record: said.append(record.getMessage())
        second.train()
        return [text for text in said if 'Resumed with' in text]

    return resume


def test_the_same_config_says_nothing_but_its_epochs(resume):
    assert resume() == ['Resumed with another config; changed from here on: '
                        'train_cfg.max_epochs (1 -> 2).']


def test_what_has_no_effect_and_what_changes_is_one_line_each(resume):
    ignored, changed = resume(**{
        'optim_wrapper.optimizer.lr': 1., 'randomness.seed': 5, 'train_dataloader.batch_size': 8,
        'model.train_cfg.augments.0.prob': .25, 'train_dataloader.sampler.epoch': 'images'})
    assert ignored == ('Resumed with another config; without effect, since the state in the '
                       'checkpoint counts: optim_wrapper.optimizer.lr (0.05 -> 1.0); '
                       'randomness.seed (0 -> 5).')
    assert 'augments.0.prob (0.5 -> 0.25)' in changed and 'batch_size (16 -> 8)' in changed
    assert "('queries' -> 'images')" in changed


def test_another_number_of_processes_is_said(resume):
    def two(content):
        assert content['meta']['mmips']['processes'] == 1
        content['meta']['mmips']['processes'] = 2

    changed, = resume(two)
    assert 'processes (2 -> 1)' in changed


@pytest.mark.parametrize('options, words', [
    ({'optim_wrapper.optimizer': dict(_delete_=True, type='AdamW', lr=1e-3)},
     "optim_wrapper.optimizer.type .'SGD' -> 'AdamW'."),
    ({'train_dataloader.dataset.per_class': 4}, r'images \(24 -> 16\)'),
    ({'train_dataloader.dataset.classes': list('abcd')}, r'classes \(\[\] -> '),
    ({'model.backbone.base_channels': 8, 'model.head.in_channels': 32},
     '(?s)is not a checkpoint of this config.*instead of.*Resume with the config of the run'),
    ({'param_scheduler': dict(_delete_=True, type='CosineAnnealingLR', T_max=2)},
     r"schedules \(\['MultiStepLR'\] -> \['CosineAnnealingLR'\]\)"),
    ({'param_scheduler': []}, r"schedules \(\['MultiStepLR'\] -> \[\]\)"),
    ({'train_cfg.max_epochs': 1, 'load': 2}, 'has done 2 epochs, train_cfg.max_epochs is 1'),
])
def test_another_run_is_refused(resume, options, words):
    change = None
    if options.pop('load', None):
        def change(content):
            content['meta']['epoch'] = 2
    with pytest.raises(UserError, match=words):
        resume(change, **options)


@pytest.mark.parametrize('key', ['optimizer', 'message_hub', 'param_schedulers'])
def test_weights_alone_cannot_be_resumed_from(resume, key):
    with pytest.raises(UserError, match=f'holds weights alone .*it has no {key}.*load_from'):
        resume(lambda content: content.pop(key))


def test_larger_batches_and_a_scaled_lr_are_no_other_run(resume):
    """The run has fewer iterations in all than the 3 that are done."""
    ignored, changed = resume(**{'train_dataloader.batch_size': 48, 'auto_scale_lr.enable': True})
    assert 'auto_scale_lr.enable (absent -> True)' in ignored and '(16 -> 48)' in changed


def test_a_config_that_is_code_is_not_run(resume, tmp_path):
    code = f'open({str(tmp_path / "run")!r}, "w")\nmodel = dict(type="x")'
    assert resume(lambda content: content['meta'].update(cfg=code)) == []
    assert not (tmp_path / 'run').exists()


def test_files_of_the_folder_that_was_copied_are_left_alone(make_runner):
    runner = make_runner(resume=True)
    info = dict(best_ckpt='/old/best_a_epoch_1.pth', last_ckpt='/old/epoch_1.pth', epoch=1)
    resuming._stay_in_folder(runner, info)
    assert info == dict(best_ckpt=f'{runner.work_dir}/best_a_epoch_1.pth',
                        last_ckpt=f'{runner.work_dir}/epoch_1.pth', epoch=1)
    hook, = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    hook.out_dir, info = '/elsewhere', dict(best_ckpt='/elsewhere/best_a_epoch_1.pth')
    resuming._stay_in_folder(runner, info)
    assert info == dict(best_ckpt='/elsewhere/best_a_epoch_1.pth')


def test_stored_configs_are_literals():
    text = 'a = dict(b=[dict(c=1)], d=(1, -2.5), e=None)\nf = "x"\n'
    assert read_stored(text) == dict(a=dict(b=[dict(c=1)], d=(1, -2.5), e=None), f='x')
    assert flatten(read_stored(text)) == {
        'a.b.0.c': 1, 'a.d.0': 1, 'a.d.1': -2.5, 'a.e': None, 'f': 'x'}
    named = Config(dict(keys={'.cls_token': dict(decay=0.)}))
    assert read_stored(named.pretty_text) == named.to_dict()
    for bad in ('a = b', 'a = open("x")', 'import os', 'a = [', 'a.b = 1', 'a = dict([(1, 2)])',
                'a = (lambda: 1)()', '(' * 5000, 7, 'del a', 'a = dict(**x)',
                'a = dict({1: open("x")})', 'a = dict({1: 2}, b=3)', 'a = f({1: 2})'):
        with pytest.raises(ValueError, match='it '):
            read_stored(bad)


def test_all_processes_resume_from_what_the_first_has_found(monkeypatch):
    """On a file system that shows another machine's files late, or not at all."""
    seen = []

    def broadcast(choice):
        seen.append(list(choice))
        choice[:] = [True, 'w/epoch_2.pth']

    monkeypatch.setattr(resuming, 'broadcast_object_list', broadcast)
    runner = SimpleNamespace(_resume=False, _load_from=None)
    resuming.follow_first(runner)
    assert seen == [[False, None]]
    assert runner == SimpleNamespace(_resume=True, _load_from='w/epoch_2.pth')

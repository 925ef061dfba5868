import json
import os
from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.runner import EpochBasedTrainLoop

from mmips.errors import UserError
from mmips.runs import files, fingerprints, training


@pytest.mark.parametrize('left', ['result.json', 'last_checkpoint'])
def test_a_folder_with_another_run_is_refused(tmp_path, left):
    data = tmp_path / 'data.npz'
    data.write_bytes(b'one')
    cfg = Config(dict(model=dict(width=1)))
    mark = fingerprints.fingerprint(cfg, [data])
    assert mark == fingerprints.fingerprint(cfg, [data])
    files.write_json(tmp_path / 'fingerprint.json', mark)
    (tmp_path / left).touch()
    (tmp_path / 'failure.json').touch()
    training.check_folder(tmp_path, json.loads(json.dumps(mark)))
    assert (tmp_path / 'failure.json').exists()

    def refuses(words, config, files):
        with pytest.raises(UserError, match=f'{tmp_path} holds a run of {words}.*--work-dir'):
            training.check_folder(tmp_path, fingerprints.fingerprint(config, files))

    refuses(r'another setup \(differing: config\)', Config(dict(model=dict(width=2))), [data])
    os.utime(data, ns=(1, 1))
    refuses(rf'another setup \(differing: {data}\)', cfg, [data])
    # A run of before the file was known to count still stands.
    training.check_folder(tmp_path, fingerprints.fingerprint(cfg, []))
    (tmp_path / 'fingerprint.json').unlink()
    refuses('an unknown setup', cfg, [data])
    (tmp_path / left).unlink()
    # Another setup has not failed yet.
    (tmp_path / 'failure.json').touch()
    training.check_folder(tmp_path, mark)
    assert not (tmp_path / 'failure.json').exists()


@pytest.mark.parametrize('options, ends', [
    ({'train_cfg.val_begin': 2}, [2, 3]),
    ({'train_cfg.dynamic_intervals': [(3, 3)], 'train_cfg.val_interval': 1}, [1, 3]),
    ({'custom_hooks': [dict(type='EarlyStoppingHook', monitor='accuracy/top1', patience=1,
                            min_delta=100)]}, [1, 2])])
def test_what_was_validated_is_the_loops_business(make_runner, tmp_path, options, ends):
    cfg = make_runner(**{'train_cfg.max_epochs': 3, **options}).cfg
    # Some metrics have a value for every class.
    cfg.val_evaluator = [cfg.val_evaluator, dict(type='SingleLabelMetric', average=None)]
    found = training.train_run(cfg, tmp_path / 'it', 0, 'accuracy/top1')
    assert found['images'] == [48 * end for end in ends] and len(found['scores']) == len(ends)
    assert found['epochs'] == ends[-1]


@pytest.mark.parametrize('begin, made_up_for', [(1, 1), (2, 0)])
def test_a_validation_that_a_kill_has_prevented_is_made_up_for_if_it_was_due(
        tmp_path, begin, made_up_for):
    ran = []
    runner = SimpleNamespace(
        train_loop=object.__new__(EpochBasedTrainLoop), epoch=1, max_epochs=3, val_begin=begin,
        val_interval=1, val_loop=SimpleNamespace(run=lambda: ran.append(1)))
    training._score_keeper(tmp_path / 'scores.json', 'x').before_train(runner)
    assert len(ran) == made_up_for


def test_visualisation_backends_learn_where_a_run_belongs():
    own = dict(type='mmengine.WandbVisBackend', init_kwargs=dict(project='mine', group='other'))
    cfg = Config(dict(visualizer=dict(vis_backends=[
        dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend'),
        dict(type='WandbVisBackend'), own,
        dict(type='MLflowVisBackend', exp_name='mine', tags=dict(team='x'))])))
    training.label_backends(cfg, 'Table 13', 'IPS 4x4', 2)
    local, board, wandb, mine, mlflow = cfg.visualizer.to_dict()['vis_backends']
    assert local == dict(type='LocalVisBackend') and board == dict(type='TensorboardVisBackend')
    tags = ['IPS 4x4', 'seed 2']
    assert wandb['init_kwargs'] == dict(group='Table 13', name='IPS 4x4/seed2', tags=tags)
    assert mine['init_kwargs'] == dict(project='mine', group='other', name='IPS 4x4/seed2',
                                       tags=tags)
    assert mlflow == dict(
        type='MLflowVisBackend', exp_name='mine', run_name='IPS 4x4/seed2',
        tags=dict(sweep='Table 13', recipe='IPS 4x4', seed='2', team='x'))
    training.label_backends(Config({}), 'x', 'y', 0)

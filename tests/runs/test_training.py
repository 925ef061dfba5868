import json
import os

import pytest
from mmengine.config import Config

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
    training.check_folder(tmp_path, json.loads(json.dumps(mark)))

    def refuses(words, config, files):
        with pytest.raises(UserError, match=f'{tmp_path} holds a run of {words}.*--work-dir'):
            training.check_folder(tmp_path, fingerprints.fingerprint(config, files))

    refuses(r'another setup \(differing: config\)', Config(dict(model=dict(width=2))), [data])
    os.utime(data, ns=(1, 1))
    refuses(rf'another setup \(differing: {data}\)', cfg, [data])
    refuses(rf'another setup \(differing: {data}\)', cfg, [])
    (tmp_path / 'fingerprint.json').unlink()
    refuses('an unknown setup', cfg, [data])
    (tmp_path / left).unlink()
    training.check_folder(tmp_path, mark)


def test_a_result_without_all_scores_is_refused(tmp_path):
    path = tmp_path / 'result.json'
    path.write_text(json.dumps(dict(images=[24, 48], scores=[50.])))
    with pytest.raises(UserError, match='result.json has 1 scores at 2 numbers of images'):
        training.read_result(path)


@pytest.mark.parametrize('text, there, resumes', [
    ('/gone/epoch_2.pth', True, True), ('/gone/epoch_2.pth', False, False), ('', False, False),
    (None, True, False)])
def test_a_run_resumes_from_a_checkpoint_that_is_there(tmp_path, text, there, resumes):
    if text is not None:
        (tmp_path / 'last_checkpoint').write_text(text)
    if there:
        (tmp_path / 'epoch_2.pth').touch()
    assert training._can_resume(tmp_path) == resumes


def test_a_kill_between_a_checkpoint_and_its_name_is_mended(tmp_path):
    for number in (9, 10):
        (tmp_path / f'epoch_{number}.pth').touch()
        os.utime(tmp_path / f'epoch_{number}.pth', (number, number))
    (tmp_path / 'last_checkpoint').touch()
    assert training._can_resume(tmp_path)
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_10.pth')


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

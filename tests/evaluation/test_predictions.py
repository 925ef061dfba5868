"""Checkpoints over a split: order, subsets, training images, and what is refused."""
import os
import shutil

import numpy as np
import pytest
import torch
from helpers.tiny_classifier import request

from mmips.errors import MissingFileError, UserError
from mmips.evaluation import predictions
from mmips.runs import fingerprints, loaders
from mmips.structures import state_dicts


@pytest.fixture
def predict(tiny, monkeypatch):
    """Predict; returns the predictions and the names for which models had to work."""
    real, worked = predictions.predict_all, []
    monkeypatch.setattr(predictions, 'predict_all', lambda model, loader, title: (
        worked.append(title), real(model, loader, title))[1])

    def run(**change):
        worked.clear()
        asked = request(**change)
        found = asked.predict(predictions.load_classifier_config(asked))
        assert list(found) == ['a', 'b']
        return found, worked

    return run


def test_a_split_is_predicted_once_in_order(predict, monkeypatch):
    first, worked = predict(batch_size=3)
    assert worked == ['a', 'b'] and not np.allclose(first['a'].probs, first['b'].probs)
    for found in first.values():
        assert found.indices.tolist() == list(range(8)) and found.probs.shape == (8, 4)
        assert found.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
        assert found.probs.sum(1) == pytest.approx(np.ones(8), abs=1e-5)
        assert {array.dtype.name for array in vars(found).values()} == {'float32', 'int64'}
        assert found.right.tolist() == (found.probs.argmax(1) == found.labels).tolist()
    with monkeypatch.context() as patch:
        patch.setattr(predictions, 'build_model', None)
        again, worked = predict()
    assert not worked
    for name, found in first.items():
        for key, array in vars(found).items():
            np.testing.assert_array_equal(getattr(again[name], key), array)
    for name, found in predict(max_images=4, num_workers=0)[0].items():
        assert found.labels.tolist() == [0, 1, 2, 3] and found.indices.tolist() == [1, 3, 5, 7]
        np.testing.assert_allclose(found.probs, first[name].probs[1::2], atol=1e-6)


def test_what_a_prediction_depends_on_is_predicted_again(predict):
    predict()
    settings = {f'data_preprocessor.{key}': [9, 9, 9] for key in ('mean', 'std')}
    for change in (dict(split='train'), dict(cfg_options=settings), dict(max_images=3)):
        assert predict(**change)[1] == ['a', 'b'] and predict(**change)[1] == []
    torch.save(torch.load('1.pth'), '1.pth')
    os.utime('1.pth', (0, 0))
    assert predict()[1] == ['b'] and predict()[1] == []
    os.utime('tiny.npz', (0, 0))
    assert predict()[1] == ['a', 'b']


def test_a_damaged_or_unwritable_cache_is_said(predict, tmp_path, capsys):
    predict()
    kept = sorted((tmp_path / 'predictions').iterdir())
    kept[0].write_bytes(kept[0].read_bytes()[:40])
    assert len(predict()[1]) == 1 and 'is not readable' in capsys.readouterr().err
    shutil.rmtree(tmp_path / 'predictions')
    (tmp_path / 'predictions').write_text('a file where the folder should be')
    assert predict()[1] == ['a', 'b'] and 'Not kept' in capsys.readouterr().err


def test_building_leaves_the_config_and_its_keys_alone(tiny):
    cfg = predictions.load_classifier_config(request())
    key = fingerprints.result_key(cfg, 'test', '0.pth')
    predictions.build_model(cfg, 'cpu')
    loaders.build_loader(cfg, 'test')
    assert fingerprints.result_key(cfg, 'test', '0.pth') == key


def test_training_images_are_neither_shuffled_nor_augmented(predict, tmp_path):
    first = predict(split='train')[0]['a']
    for file in (tmp_path / 'predictions').iterdir():
        file.unlink()
    again = predict(split='train')[0]['a']
    assert again.labels.tolist() == np.repeat(np.arange(4), 6).tolist()
    np.testing.assert_array_equal(again.probs, first.probs)


def test_other_checkpoints_are_refused_before_the_first_is_used(tiny):
    state = {key: value[:3] if key.startswith('head.fc') else value
             for key, value in state_dicts.read_state('1.pth').items()}
    torch.save(dict(state_dict=state), '1.pth')
    model = predictions.build_model(predictions.load_classifier_config(request()), 'cpu')
    before = model.head.fc.weight.clone()
    with pytest.raises(ValueError, match='another number of classes') as error:
        next(predictions.each_checkpoint(model, request().paths))
    assert 'head.fc.weight (3, 16) instead of (4, 16)' in str(error.value)
    assert torch.equal(model.head.fc.weight, before)


def test_missing_checkpoints_and_other_toolboxes_are_refused(tiny):
    with pytest.raises(MissingFileError, match='nowhere.pth'):
        predictions.load_classifier_config(request(checkpoints=['nowhere.pth']))
    with pytest.raises(UserError, match="'mmseg', but one of 'mmpretrain'"):
        predictions.load_classifier_config(
            request(config='seg/deeplabv3plus_r18-w16_ips_camvid.py'))


@pytest.mark.parametrize('size, number, expected', [
    (8, 4, [1, 3, 5, 7]), (10, 3, [1, 5, 8]), (3, 5, [0, 1, 2]), (5, 1, [2]), (0, 2, [])])
def test_places_are_spread_evenly(size, number, expected):
    assert loaders.spread(size, number) == expected


def test_images_are_those_of_the_split():
    assert predictions.find_images([3, 1, 3], [1, 3], 'test') == [1, 0]
    with pytest.raises(ValueError, match=r'the val split has 4 images, 0 to 3, but got \[4, -1\]'):
        predictions.find_images([3, 4, -1], range(4), 'val')


@pytest.mark.parametrize('labels, message', [
    ([[1], [0, 1]], 'one label'), ([[3], [1]], 'the label 3, but the model only 3 classes')])
def test_labels_that_cannot_be_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        predictions.check_labels(list(map(torch.tensor, labels)), 3)
    predictions.check_labels([torch.tensor([2]), torch.tensor([0])], 3)

"""Checkpoints over a split: order, subsets, training images, and what is refused."""
import os
import shutil

import numpy as np
import pytest
import torch
from helpers.tiny_classifier import request

from mmips.errors import UserError
from mmips.evaluation import predictions
from mmips.runs import fingerprints, loaders


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


@pytest.mark.parametrize('size, number, expected', [
    (8, 4, [1, 3, 5, 7]), (10, 3, [1, 5, 8]), (3, 5, [0, 1, 2]), (5, 1, [2]), (0, 2, [])])
def test_places_are_spread_evenly(size, number, expected):
    assert loaders.spread(size, number) == expected


def test_several_labels_are_refused():
    with pytest.raises(UserError, match='one label'):
        predictions.check_labels(list(map(torch.tensor, [[1], [0, 1]])), 3)

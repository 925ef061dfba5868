"""Checkpoints over a split: order, subsets, training images, and what is refused."""
import argparse
import os

import numpy as np
import pytest
import torch

from mmips.errors import MissingFileError, UserError
from mmips.evaluation import predictions
from mmips.runs import cli, fingerprints, loaders
from mmips.structures import state_dicts


@pytest.fixture
def options(tiny):
    """A parsed command line of a tiny config with two checkpoints of it."""

    def parse(*extra, checkpoints=None):
        parser = argparse.ArgumentParser()
        cli.add_checkpoint_options(parser)
        args = parser.parse_args(['config.py', *(checkpoints or ['0.pth', '1.pth']), '--out',
                                  'out', '--device', 'cpu', *extra])
        cli.check_names(parser, args)
        return args

    return parse


@pytest.fixture
def predict(options, monkeypatch):
    """Run predict_split; returns the predictions and the names for which models had to work."""
    real = predictions.predict_probs

    def run(*extra, checkpoints=None):
        args, worked = options('--names', 'a', 'b', *extra, checkpoints=checkpoints), []
        monkeypatch.setattr(predictions, 'predict_probs', lambda model, loader, title: (
            worked.append(title), real(model, loader, title))[1])
        found = predictions.predict_split(predictions.load_classifier_config(args), args.split,
                                          args.checkpoints, args.names, args.max_images, 'cpu')
        assert list(found) == ['a', 'b']
        return found, worked

    return run


def test_a_split_is_predicted_once(predict, monkeypatch):
    first, worked = predict('--batch-size', '3')
    assert worked == ['a', 'b']
    assert first['a'].indices.tolist() == list(range(8))
    assert {array.dtype.name for array in vars(first['a']).values()} == {'float32', 'int64'}
    monkeypatch.setattr(predictions, 'build_model', None)
    again, worked = predict()
    assert not worked
    for name, found in first.items():
        for key, array in vars(found).items():
            np.testing.assert_array_equal(getattr(again[name], key), array)


def test_what_a_prediction_depends_on_is_predicted_again(predict):
    predict()
    part, worked = predict('--max-images', '3')
    assert worked == ['a', 'b'] and part['a'].indices.tolist() == [1, 4, 6]
    settings = [f'data_preprocessor.{key}=[9,9,9]' for key in ('mean', 'std')]
    for extra in (['--split', 'train'], ['--cfg-options', *settings]):
        assert predict(*extra)[1] == ['a', 'b'] and predict(*extra)[1] == []
    torch.save(torch.load('1.pth'), '1.pth')
    os.utime('1.pth', (0, 0))
    assert predict()[1] == ['b'] and predict()[1] == []
    os.utime('tiny.npz', (0, 0))
    assert predict()[1] == ['a', 'b']


def test_a_damaged_or_unwritable_cache_is_said(predict, tmp_path, capsys):
    first = predict()[0]
    kept = sorted((tmp_path / 'predictions').iterdir())
    assert len(kept) == 2
    kept[0].write_bytes(kept[0].read_bytes()[:40])
    found, worked = predict()
    assert len(worked) == 1 and 'is not readable' in capsys.readouterr().err
    np.testing.assert_allclose(found['a'].probs, first['a'].probs)
    for file in kept:
        file.unlink()
    (tmp_path / 'predictions').rmdir()
    (tmp_path / 'predictions').write_text('a file where the folder should be')
    assert predict()[1] == ['a', 'b'] and 'Not kept' in capsys.readouterr().err


def test_building_leaves_the_config_and_its_keys_alone(options, tmp_path):
    args = options()
    assert args.names == [f'{tmp_path.name}/0', f'{tmp_path.name}/1']
    cfg = predictions.load_classifier_config(args)
    key = fingerprints.result_key(cfg, 'test', args.checkpoints[0])
    predictions.build_model(cfg, 'cpu')
    loaders.build_loader(cfg, 'test')
    assert fingerprints.result_key(cfg, 'test', args.checkpoints[0]) == key


def test_every_checkpoint_predicts_all_images_in_order(predict):
    results = predict()[0]
    for found in results.values():
        assert found.probs.shape == (8, 4)
        assert found.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
        assert found.probs.sum(1) == pytest.approx(np.ones(8), abs=1e-5)
    assert not np.allclose(results['a'].probs, results['b'].probs)
    for name, found in predict('--max-images', '4', '--batch-size', '3')[0].items():
        assert found.labels.tolist() == [0, 1, 2, 3]
        np.testing.assert_allclose(found.probs, results[name].probs[1::2], atol=1e-6)


def test_training_images_are_neither_shuffled_nor_augmented(predict, tmp_path):
    first = predict('--split', 'train')[0]['a']
    for file in (tmp_path / 'predictions').iterdir():
        file.unlink()
    again = predict('--split', 'train')[0]['a']
    assert again.labels.tolist() == np.repeat(np.arange(4), 6).tolist()
    np.testing.assert_array_equal(again.probs, first.probs)


@pytest.mark.parametrize('extra, message', [
    (['--names', 'a'], 'a name for each of the 2 checkpoints'),
    (['--names', 'a', 'a'], 'must differ'),
    (['--max-images', '0'], '--max-images: must be at least 1, got 0'),
])
def test_options_that_cannot_be_are_refused(options, capsys, extra, message):
    with pytest.raises(SystemExit):
        options(*extra)
    assert message in capsys.readouterr().err


def test_other_checkpoints_are_refused_before_the_first_is_used(options):
    args = options()
    state = state_dicts.read_state(args.checkpoints[1])
    state = {key: value[:3] if key.startswith('head.fc') else value
             for key, value in state.items()}
    torch.save(dict(state_dict=state), args.checkpoints[1])
    cfg = predictions.load_classifier_config(args)
    model = predictions.build_model(cfg, 'cpu')
    before = model.head.fc.weight.clone()
    with pytest.raises(ValueError, match='another number of classes') as error:
        next(predictions.each_checkpoint(model, args.checkpoints, args.names))
    assert 'head.fc.weight (3, 16) instead of (4, 16)' in str(error.value)
    assert torch.equal(model.head.fc.weight, before)


def test_labels_outside_the_classes_are_refused(options):
    args = options()
    arrays = dict(np.load('tiny.npz'))
    np.savez('tiny.npz', **{**arrays, 'labels_test': arrays['labels_test'] + 1})
    with pytest.raises(UserError, match='label 4'):
        predictions.Request.of(args).predict(predictions.load_classifier_config(args))


def test_missing_checkpoints_and_other_toolboxes_are_refused(options, tmp_path):
    args = options(checkpoints=[str(tmp_path / 'nowhere.pth')])
    with pytest.raises(MissingFileError, match='nowhere.pth'):
        predictions.load_classifier_config(args)
    args.config = 'seg/deeplabv3plus_r18-w16_ips_camvid.py'
    with pytest.raises(UserError, match="'mmseg'"):
        predictions.load_classifier_config(args)


@pytest.mark.parametrize('size, number, expected', [
    (8, 4, [1, 3, 5, 7]), (10, 3, [1, 5, 8]), (3, 5, [0, 1, 2]), (5, 1, [2]), (0, 2, [])])
def test_places_are_spread_evenly(size, number, expected):
    assert loaders.spread(size, number) == expected


def test_images_are_those_of_the_split():
    assert predictions.check_images([3, 0, 3], 4, 'test') == [3, 0]
    with pytest.raises(ValueError, match=r'the val split has 4 images, 0 to 3, but got \[4, -1\]'):
        predictions.check_images([3, 4, -1], 4, 'val')


@pytest.mark.parametrize('labels, message', [
    ([[1], [0, 1]], 'one label'), ([[3], [1]], 'the label 3, but the model only 3 classes')])
def test_labels_that_cannot_be_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        predictions.check_labels(list(map(torch.tensor, labels)), 3)
    predictions.check_labels([torch.tensor([2]), torch.tensor([0])], 3)

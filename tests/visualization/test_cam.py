from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread

from mmips.visualization.cam import RIGHT, WRONG, CamExample, draw_cam


def example(maps, size=(16, 16), grey=128, **change):
    number = len(maps)
    given = dict(image=np.full((*size, 3), grey, np.uint8), maps=maps, caption='7: cat',
                 predictions=['cat 0.90'] * number, right=[True] * number)
    return CamExample(**{**given, **change})


def half(size=(16, 16)):
    """High on the left, low on the right."""
    cam = np.zeros(size, np.float32)
    cam[:, :size[1] // 2] = 1
    return cam


def colours(path):
    """Where the picture is clearly red and clearly blue."""
    pixels = imread(path)[..., :3]
    red, _, blue = (pixels[..., channel] for channel in range(3))
    return np.nonzero(red - blue > 0.15), np.nonzero(blue - red > 0.1)


def test_high_values_are_red_and_low_ones_blue(tmp_path):
    path = str(tmp_path / 'new' / 'cam.png')
    assert draw_cam([example([half()])], ['a'], path) == path
    assert [file.name for file in (tmp_path / 'new').iterdir()] == ['cam.png']
    (rows, red), _ = colours(path)
    scale = rows < imread(path).shape[0] * 0.9
    width = imread(path).shape[1]
    # One network: image and map fill the middle; the left half of the map is the third quarter.
    assert red[scale].min() > 0.5 * width and red[scale].max() < 0.75 * width


def test_maps_stand_in_the_column_of_their_network(tmp_path):
    low = np.zeros((16, 16), np.float32)
    for place in range(3):
        maps = [low] * 3
        maps[place] = low + 1
        path = draw_cam([example(maps)], list('abc'), str(tmp_path / 'a.png'), dpi=60)
        (rows, red), _ = colours(path)
        middle = red[rows < imread(path).shape[0] * 0.85].mean() / imread(path).shape[1]
        assert middle == pytest.approx((place + 1.5) / 4, abs=0.03)


def written(monkeypatch, path, *args, **kwargs):
    kept = {}
    monkeypatch.setattr(Figure, 'savefig', lambda self, file, **_: (
        open(file, 'w').close(), kept.update(
            (text.get_text(), text.get_color()) for text in self.texts)))
    draw_cam(*args, path=str(path), **kwargs)
    return kept


def test_predictions_are_green_where_right_and_else_red(tmp_path, monkeypatch):
    found = written(monkeypatch, tmp_path / 'a.png', [
        example([half(), half()], predictions=['cat 0.91', 'dog 0.82'], right=[True, False])],
        names=['one', 'two'], title='The title', notes=['first', 'second'])
    assert found['cat 0.91'] == RIGHT and found['dog 0.82'] == WRONG
    assert {'image', 'one', 'two', '7: cat', 'The title', 'first', 'second', 'little',
            'much'} <= set(found)
    assert to_rgb(RIGHT)[1] > to_rgb(RIGHT)[0] and to_rgb(WRONG)[0] > to_rgb(WRONG)[1]


def test_long_texts_keep_what_matters(tmp_path, monkeypatch):
    name = 'great white shark, white shark, man-eater, Carcharodon carcharias'
    found = written(monkeypatch, tmp_path / 'a.png', [
        example([half()], caption=f'12: {name}', predictions=[f'{name} 0.81'])],
        names=['work_dirs/a/very/long/folder/epoch_100'])
    assert any(text.startswith('12: great') and text.endswith('\u2026') for text in found)
    assert any(text.startswith('\u2026') and text.endswith(' 0.81') for text in found)
    assert any(text.startswith('\u2026') and text.endswith('epoch_100') for text in found)


@pytest.mark.parametrize('size', [(7, 9), (224, 224)])
def test_any_size_and_number(tmp_path, size):
    shapes = [imread(draw_cam([example([half(size)] * networks, size)] * images,
                              list('abcde')[:networks], str(tmp_path / 'a.png'), dpi=50)).shape
              for images, networks in ((1, 1), (2, 3))]
    assert shapes[0][0] < shapes[1][0] and shapes[0][1] < shapes[1][1]


@pytest.mark.parametrize('change, words', [
    (dict(image=np.zeros((3, 16, 16), np.uint8)), 'image must have the shape'),
    (dict(predictions=[]), 'expected 1 predictions'), (dict(right=[True, False]), 'expected 1 ri'),
    (dict(maps=[half(), half()]), 'expected 1 maps'),
    (dict(maps=[half((8, 8))]), r'a map has the shape \(8, 8\)'),
    (dict(maps=[2 * half()]), 'from 0 to 1, got 0.0 to 2.0'),
    (dict(maps=[half() * np.float32('nan')]), 'from 0 to 1')])
def test_refuses_what_does_not_fit(tmp_path, change, words):
    with pytest.raises(ValueError, match=words):
        draw_cam([replace(example([half()]), **change)], ['a'], str(tmp_path / 'a.png'))


def test_refuses_nothing_to_draw(tmp_path):
    with pytest.raises(ValueError, match='at least one image and one network'):
        draw_cam([], ['a'], str(tmp_path / 'a.png'))

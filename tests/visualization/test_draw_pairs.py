import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from mmips.visualization import draw_pairs
from mmips.visualization.draw_pairs import PARTNER, QUERY


def make(pairs=2, size=(16, 16), grid=(4, 4)):
    images = np.zeros((2 * pairs, *size, 3), np.uint8)
    images[0::2], images[1::2] = 60, 200
    return images, np.zeros((pairs, *grid), bool)


def share(path, colour):
    """Share of the picture that has a colour."""
    distance = np.abs(imread(path)[..., :3] - np.array(to_rgb(colour))).max(-1)
    return (distance < 0.02).mean()


def test_swapped_cells_are_outlined_in_the_other_colour(tmp_path):
    images, mask = make()
    path = str(tmp_path / 'new' / 'folder' / 'plain.png')
    assert draw_pairs(images, images, mask, ['cat', 'dog'], 0.5, path) == path
    plain = {colour: share(path, colour) for colour in (QUERY, PARTNER)}
    mask[0, 1, 2] = mask[0, 0, 0] = True
    draw_pairs(images, images, mask, ['cat', 'dog'], 0.5, path)
    for colour in (QUERY, PARTNER):
        assert share(path, colour) > plain[colour] > 0


def test_pixels_of_small_images_stay_sharp(tmp_path):
    images, mask = make(pairs=1)
    images[:, ::2] = 255
    path = draw_pairs(images, images, None, ['x'], None, str(tmp_path / 'a.png'))
    grey = (imread(path)[..., 0] * 255).round().astype(int)
    # No value between the two of the image beyond frames and letters.
    middle = ((grey > 90) & (grey < 170)).mean()
    assert middle < 0.02


@pytest.mark.parametrize('pairs, size, grid', [(1, (7, 9), (2, 3)), (5, (224, 224), (2, 2)),
                                               (3, (32, 32), (4, 4))])
def test_any_size_and_number(tmp_path, pairs, size, grid):
    images, mask = make(pairs, size, grid)
    mask[:, -1] = True
    path = draw_pairs(images, images, mask, ['a'] * pairs, 0.3, str(tmp_path / 'a.png'))
    height, width = imread(path).shape[:2]
    assert width > 500 and height > 300


def test_columns(tmp_path):
    images, mask = make(4)
    shapes = [imread(draw_pairs(images, images, mask, list('abcd'), 1, str(tmp_path / 'a.png'),
                                columns=columns)).shape for columns in (1, 2)]
    assert shapes[1][1] == 2 * shapes[0][1] and shapes[0][0] > shapes[1][0]


@pytest.mark.parametrize('change, words', [
    (dict(before=np.zeros((3, 4, 4, 3), np.uint8)), 'must hold pairs'),
    (dict(before=np.zeros((4, 3, 16, 16), np.uint8)), 'must hold pairs'),
    (dict(after=np.zeros((2, 16, 16, 3), np.uint8)), 'after has the shape'),
    (dict(labels=['a']), 'Expected 2 labels'), (dict(mask=np.zeros((4, 4), bool)), 'mask must')])
def test_refuses_what_does_not_fit(change, words, tmp_path):
    images, mask = make()
    given = {**dict(before=images, after=images, mask=mask, labels=['a', 'b']), **change}
    with pytest.raises(ValueError, match=words):
        draw_pairs(**given, prob=0.5, path=str(tmp_path / 'a.png'))

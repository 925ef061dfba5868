import numpy as np
import pandas as pd
import pytest
from helpers.pictures import check_layout, texts

from mmips.visualization.predictions import _colours, draw_predictions

PALETTE = np.array([(200, 0, 0), (0, 100, 200), (40, 220, 10)], np.uint8)
CLASSES = ['cat', 'dog', 'cow']
GREY = 100


def plain(height=40, width=60):
    return np.full((height, width, 3), GREY, np.uint8)


def labelled(label, shape=(40, 60)):
    return np.full(shape, label)


def boxes(corners, labels, **columns):
    return pd.DataFrame(corners, columns=['left', 'top', 'right', 'bottom']).assign(
        label=labels, **columns)


def blended(label):
    """35 % of the grey image and 65 % of the class colour."""
    return (0.35 * GREY + 0.65 * PALETTE[label]).round().astype(np.uint8)


def share(picture, colour):
    return (np.asarray(picture) == np.asarray(colour)).all(-1).mean()


def shown(axes):
    return axes.get_images()[0].get_array()


def test_columns_are_image_truth_and_predictions_with_stripes_where_they_are_wrong():
    truth = labelled(0)
    truth[:, 40:] = 255
    right, wrong = np.where(truth == 255, 2, truth), labelled(1)
    figure = draw_predictions([('a.png', plain(), [truth, right, wrong])], ['a', 'b'], CLASSES,
                              PALETTE, 'Title')
    image, label, first, second = map(shown, figure.axes)
    assert [axes.get_title() for axes in figure.axes] == ['image', 'ground truth', 'a', 'b']
    assert figure.axes[0].get_xlabel() == 'a.png' and 'Title' in figure.get_suptitle()
    assert (image == GREY).all()
    assert share(label, blended(0)) == pytest.approx(2 / 3)
    # Labels keep their place when the picture is scaled.
    assert (label[:, :320] == blended(0)).all()
    # What is ignored is hatched.
    assert 0.5 < share(label[:, 320:], (0, 0, 0)) < 0.9
    assert share(label[:, 320:], (0, 0, 0)) + share(label[:, 320:], (150, 150, 150)) == 1
    # What is ignored is neither wrong nor hidden.
    assert share(first, blended(0)) == pytest.approx(2 / 3)
    assert share(first, blended(2)) == pytest.approx(1 / 3)
    assert share(second[:, :320], (255, 255, 255)) > 0.15 > share(second[:, 320:], (255, ) * 3)
    assert share(second[:, :320], blended(1)) > 0.5
    # The legend names what occurs.
    assert texts(figure.legends[0].texts) == ['cat', 'dog', 'cow', 'ignored']


@pytest.mark.parametrize('least, found, named', [
    (0.3, ['0.30'], ['cow']), (0.1, ['0.30', '0.20'], ['dog', 'cow']), (0.31, [], [])])
def test_boxes_lie_where_they_belong_above_the_threshold(least, found, named):
    truth = boxes([[5., 5, 20, 20]], [0], difficult=[True])
    predicted = boxes([[5., 15, 20, 30], [30, 15, 90, 30]], [1, 2], score=[.2, .3])
    figure = draw_predictions([('a', plain(), [truth, predicted])], ['a'], CLASSES, PALETTE,
                              score_thr=least)
    _, left, right = figure.axes
    assert [patch.get_bbox().extents.tolist() for patch in left.patches] == [[5, 5, 20, 20]]
    assert left.patches[0].get_linestyle() != 'solid' and not left.texts
    # The best first; cut at the border.
    assert [patch.get_bbox().extents.tolist() for patch in right.patches] == [
        [30, 15, 60, 30], [5, 15, 20, 30]][:len(found)]
    assert texts(right.texts) == found
    # Not even the legend has what is left out.
    assert texts(figure.legends[0].texts) == ['cat', *named, 'difficult, not counted']


def test_names_where_colours_do_not_tell_classes_apart():
    many = [f'class {number}' for number in range(10)]
    known = [boxes([[40., 100, 300, 200]], [4]), boxes([[40., 100, 300, 200]], [4], score=[.5])]
    figure = draw_predictions([('a', plain(240, 360), known)], ['a'], many,
                              np.tile(PALETTE, (4, 1)))
    assert [texts(axes.texts) for axes in figure.axes] == [[], ['class 4'], ['class 4 0.50']]


def test_scores_do_not_cover_each_other():
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 100, (60, 4)).astype(float)
    corners[:, 2:] = corners[:, :2] + 30
    known = [boxes(corners, rng.integers(0, 3, 60), score=rng.random(60))] * 2
    figure = draw_predictions([('a', plain(130, 130), known)], ['a'], CLASSES, PALETTE)
    figure.draw_without_rendering()
    places = [text.get_window_extent().padded(-0.5) for text in figure.axes[2].texts]
    assert 10 < len(places) < 60
    assert all(place.count_overlaps(places) == 1 for place in places)


@pytest.mark.parametrize('size, networks, rows', [((30, 90), 1, 1), ((90, 30), 5, 2)])
def test_nothing_runs_over_the_edge_or_over_another_thing(size, networks, rows):
    labels = np.arange(size[0] * size[1]).reshape(size) // 15 % 60
    palette = np.random.default_rng(0).integers(0, 250, (60, 3))
    names = [f'a/quite_long_name_of_a_network_{number}/epoch_40' for number in range(networks)]
    figure = draw_predictions(
        [('caption ' * 200, plain(*size), [labels] * (1 + networks))] * rows, names,
        [f'class number {n}' for n in range(60)], palette, 'title ' * 100)
    check_layout(figure, [figure._suptitle])
    assert all(axes.get_window_extent().width > 100 for axes in figure.axes)


def test_colours_of_a_set_without_a_palette():
    assert _colours([(1, 2, 3)] * 4, 2).tolist() == [[1, 2, 3]] * 2
    for palette in (None, 'coco', [(0, 0, 0)]):
        assert len(np.unique(_colours(palette, 20), axis=0)) == 20

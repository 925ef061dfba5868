import numpy as np
import pytest
from PIL import Image

from mmips.visualization.predictions import (
    Boxes,
    Example,
    blend_labels,
    draw_boxes,
    draw_predictions,
)

PALETTE = np.array([(200, 0, 0), (0, 100, 200), (40, 220, 10)], np.uint8)
CLASSES = ['cat', 'dog', 'cow']
GREY = 100


def plain(height=40, width=60):
    return np.full((height, width, 3), GREY, np.uint8)


def blended(label):
    """35 % of the grey image and 65 % of the class colour."""
    return (0.35 * GREY + 0.65 * PALETTE[label]).round().astype(np.uint8)


def share(picture, colour):
    return (np.asarray(picture) == np.asarray(colour)).all(-1).mean()


def test_labels_are_blended_at_their_places():
    labels = np.zeros((40, 60), int)
    labels[:, 30:] = 1
    picture = blend_labels(plain(), labels, PALETTE)
    assert (picture[:, :30] == blended(0)).all() and (picture[:, 30:] == blended(1)).all()


def test_ignored_pixels_are_hatched_on_black():
    labels = np.zeros((40, 60), int)
    labels[10:30, 10:30] = 255
    picture = blend_labels(plain(), labels, PALETTE)
    inside = picture[10:30, 10:30]
    assert 0.5 < share(inside, (0, 0, 0)) < 0.9 and share(inside, blended(0)) == 0
    assert share(inside, (0, 0, 0)) + share(inside, (150, 150, 150)) == 1
    outside = np.ones(labels.shape, bool)
    outside[10:30, 10:30] = False
    assert (picture[outside] == blended(0)).all()


def test_wrong_pixels_are_striped_and_still_show_their_class():
    wrong = np.zeros((40, 60), bool)
    wrong[:20] = True
    picture = blend_labels(plain(), np.ones((40, 60), int), PALETTE, wrong)
    assert share(picture[:20], (255, 255, 255)) > 0.15
    assert share(picture[:20], blended(1)) > 0.5 and share(picture[20:], blended(1)) == 1


def columns(picture, count, width):
    """The columns of a picture, by its documented margin of 18 and gap of 8."""
    pixels = np.asarray(picture)
    return [pixels[:, 18 + place * (width + 8):][:, :width] for place in range(count)]


def test_columns_are_image_truth_and_predictions():
    truth = np.zeros((40, 60), int)
    truth[:, 40:] = 255
    right, wrong = truth.copy(), np.ones_like(truth)
    right[truth == 255] = 2
    picture = draw_predictions([Example(plain(), truth, [right, wrong])], ['a', 'b'], CLASSES,
                               PALETTE, width=240)
    height = 160  # 40 rows at four times their size
    image, label, first, second = columns(picture, 4, 240)
    area = 240 * height / image[..., 0].size
    assert share(image, (GREY, ) * 3) == pytest.approx(area, rel=0.02)
    assert share(label, blended(0)) == pytest.approx(area * 2 / 3, rel=0.02)
    # What is ignored is neither wrong nor hidden.
    assert share(first, blended(0)) == pytest.approx(area * 2 / 3, rel=0.02)
    assert share(first, blended(2)) == pytest.approx(area / 3, rel=0.02)
    assert share(second, blended(0)) == 0
    assert area * 0.7 < share(second, blended(1)) < area * 0.9
    # Labels keep their place when the picture is scaled.
    top = np.argmax((label == blended(0)).all(-1).any(1))
    assert (label[top + 80, :159] == blended(0)).all()
    assert not (label[top + 80, 161:] == blended(0)).all(-1).any()


def test_the_legend_names_what_occurs():
    examples = [Example(plain(), np.zeros((40, 60), int), [np.full((40, 60), 2)])]
    picture = draw_predictions(examples, ['a'], CLASSES, PALETTE)
    assert share(picture, PALETTE[0]) > 0 < share(picture, PALETTE[2])
    assert share(picture, PALETTE[1]) == 0 == share(picture, (150, 150, 150))
    examples[0].truth[0] = 255
    assert share(draw_predictions(examples, ['a'], CLASSES, PALETTE), (150, 150, 150)) > 0


def test_boxes_lie_where_they_belong():
    boxes = Boxes(np.array([[10., 5, 30, 25]]), np.array([1]))
    picture = np.asarray(draw_boxes(Image.fromarray(plain(80, 120)), boxes, CLASSES, PALETTE, 2))
    drawn = (picture == PALETTE[1]).all(-1)
    expected = np.zeros_like(drawn)
    expected[10:51, 20:61] = True
    expected[12:49, 22:59] = False
    assert np.array_equal(drawn, expected)


def test_difficult_boxes_are_dashed():
    corners, labels = np.array([[10., 10, 110, 70]]), np.array([0])
    pictures = [draw_boxes(Image.fromarray(plain(80, 120)),
                           Boxes(corners, labels, difficult=np.array([difficult])), CLASSES,
                           PALETTE) for difficult in (False, True)]
    solid, dashed = (share(picture, PALETTE[0]) for picture in pictures)
    assert 0.4 * solid < dashed < 0.75 * solid
    line = (np.asarray(pictures[1])[10, 10:111] == PALETTE[0]).all(-1)
    assert 20 < np.abs(np.diff(line.astype(int))).sum() < 26


def test_scores_and_names():
    corners, labels = np.array([[10., 30, 90, 70]]), np.array([0])
    many = [f'class {number}' for number in range(10)]
    palette = np.tile(PALETTE, (4, 1))
    image = Image.fromarray(plain(80, 120))
    area = {}
    for name, scores, classes in (('box', None, CLASSES), ('score', [.5], CLASSES),
                                  ('name', None, many), ('both', [.5], many)):
        boxes = Boxes(corners, labels, None if scores is None else np.array(scores))
        area[name] = share(draw_boxes(image, boxes, classes, palette), PALETTE[0])
    assert area['box'] < area['score'] < area['name'] < area['both']


def test_scores_do_not_cover_each_other(monkeypatch):
    from mmips.visualization import predictions as module
    taken = []
    tag = module._tag
    monkeypatch.setattr(module, '_tag', lambda *args: (tag(*args), taken.append(args[-1])))
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 100, (60, 4)).astype(float)
    corners[:, 2:] = corners[:, :2] + 30
    boxes = Boxes(corners, rng.integers(0, 3, 60), rng.random(60))
    draw_boxes(Image.fromarray(plain(130, 130)), boxes, CLASSES, PALETTE)
    places = taken[-1]
    assert 10 < len(places) < 60
    covered = np.zeros((130, 130), int)
    for left, top, right, bottom in places:
        assert 0 <= left < right < 130 and 0 <= top < bottom < 130
        covered[top:bottom + 1, left:right + 1] += 1
    assert covered.max() == 1


def test_boxes_below_the_threshold_are_left_out():
    truth = Boxes(np.array([[5., 5, 20, 20]]), np.array([0]), difficult=np.array([True]))
    found = Boxes(np.array([[5., 5, 20, 20], [30, 5, 50, 30]]), np.array([1, 2]),
                  np.array([0.2, 0.3]))
    examples = [Example(plain(), truth, [found])]
    for least, shown in ((0.3, [False, True]), (0.1, [True, True]), (0.31, [False, False])):
        picture = draw_predictions(examples, ['a'], CLASSES, PALETTE, score_thr=least, width=240)
        # Not even the legend has the colour of what is left out.
        assert [share(picture, colour) > 0 for colour in PALETTE[1:]] == shown
        assert share(columns(picture, 3, 240)[0], PALETTE[0]) < 0.01


@pytest.mark.parametrize('size', [(30, 90), (90, 30), (480, 640)])
@pytest.mark.parametrize('networks', [1, 5])
def test_any_size_and_number(size, networks):
    labels = np.zeros(size, int)
    example = Example(plain(*size), labels, [labels] * networks, 'x' * 900)
    names = [f'a/quite_long_name_of_a_network_{number}/epoch_40' for number in range(networks)]
    pictures = [draw_predictions([example] * rows, names, CLASSES, PALETTE, 'title ' * 100)
                for rows in (1, 3)]
    assert pictures[0].width == pictures[1].width < 2500
    rows = (pictures[1].height - pictures[0].height) / 2
    assert 24 < rows < 0.7 * pictures[0].width


def test_nothing_runs_over_the_edge():
    """Titles, captions and the legend leave the margin white."""
    labels = np.arange(30 * 30).reshape(30, 30) // 15 % 60
    example = Example(plain(30, 30), labels, [labels] * 2, 'caption ' * 200)
    palette = np.random.default_rng(0).integers(0, 250, (60, 3))
    picture = np.asarray(draw_predictions([example], ['n' * 200, 'two words ' * 20],
                                          [f'class number {n}' for n in range(60)], palette,
                                          'title ' * 200))
    assert (picture[:, :10] == 255).all() and (picture[:, -10:] == 255).all()
    assert (picture[-8:] == 255).all()


@pytest.mark.parametrize('change, words', [
    (dict(image=np.zeros((40, 60), np.uint8)), 'image must have the shape'),
    (dict(truth=np.zeros((4, 6), int)), 'a label map has the shape'),
    (dict(predictions=[]), 'expected 1 predictions')])
def test_refuses_what_does_not_fit(change, words):
    labels = np.zeros((40, 60), int)
    given = {**dict(image=plain(), truth=labels, predictions=[labels]), **change}
    with pytest.raises(ValueError, match=words):
        draw_predictions([Example(**given)], ['a'], CLASSES, PALETTE)


def test_refuses_nothing_to_draw_and_a_short_palette():
    labels = np.zeros((40, 60), int)
    with pytest.raises(ValueError, match='no example'):
        draw_predictions([], ['a'], CLASSES, PALETTE)
    with pytest.raises(ValueError, match='for each of the 3 classes, got 2'):
        draw_predictions([Example(plain(), labels, [labels])], ['a'], CLASSES, PALETTE[:2])


def test_light_boxes_have_a_darker_edge():
    boxes = Boxes(np.array([[10., 10, 50, 30]]), np.array([0]))
    image = Image.new('RGB', (60, 40), 'white')
    for colour, outside in (((250, 250, 180), (110, 119, 129)), ((200, 0, 0), (255, 255, 255))):
        picture = draw_boxes(image, boxes, ['cat'], np.array([colour], np.uint8))
        assert picture.getpixel((20, 10)) == colour and picture.getpixel((20, 9)) == outside

import numpy as np
from helpers.pictures import texts

from mmips.visualization.cam import draw_cam
from mmips.visualization.style import GREEN, RED


def draw(maps, images=2, size=(16, 16), text='cat 0.90', right=True, **texts):
    return draw_cam(np.full((images, *size, 3), 128, np.uint8), ['7: cat'] * images, maps,
                    {name: [(text, right)] * images for name in maps}, **texts)


def test_high_values_are_red_and_low_ones_blue_in_the_column_of_their_network():
    half = np.zeros((2, 16, 16), np.float32)
    half[:, :, :8] = 1
    figure = draw(dict(a=half, b=1 - half))
    image, first, second = figure.axes[:3]
    assert len(image.images) == 1
    for axes, left in ((first, 1), (second, 0)):
        shown = axes.images[1]
        colours = shown.cmap(shown.norm(shown.get_array()))
        np.testing.assert_array_equal(shown.get_array()[0], [left] * 8 + [1 - left] * 8)
        red, blue = (colours[0, 0], colours[0, -1]) if left else (colours[0, -1], colours[0, 0])
        assert red[0] > red[2] and blue[2] > blue[0] and 0 < shown.get_alpha() < 1
    assert texts(figure.axes[-1].get_xticklabels()) == ['little', 'much']


def test_long_texts_keep_what_matters_and_verdicts_have_their_colour():
    name = 'great white shark, white shark, man-eater, Carcharodon carcharias'
    maps = {'work_dirs/a/very/long/folder/epoch_100': np.zeros((1, 7, 9))}
    for right, colour in ((True, GREEN), (False, RED)):
        image, axes, _ = draw(maps, 1, (7, 9), f'{name} 0.81', right, title='t', notes=['n']).axes
        label = axes.xaxis.label
        assert label.get_text().startswith('\u2026') and label.get_text().endswith(' 0.81')
        assert label.get_color() == colour and image.get_xlabel() == '7: cat'
        assert axes.get_title().startswith('\u2026') and axes.get_title().endswith('epoch_100')
    assert axes.figure.get_suptitle() == 't\nn'

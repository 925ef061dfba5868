import pytest

from mmips.functional.corruptions import CORRUPTIONS, PRESETS, expand_corruptions

imagecorruptions = pytest.importorskip('imagecorruptions')


def test_names_are_the_library_s():
    names = imagecorruptions.get_corruption_names
    assert CORRUPTIONS == tuple(names('all'))
    assert PRESETS['common'] == tuple(names('common'))
    assert PRESETS['paper'] == (
        'defocus_blur', 'glass_blur', 'motion_blur', 'zoom_blur', 'snow', 'frost', 'fog',
        'brightness', 'contrast', 'elastic_transform')


def test_groups_and_names_are_spelled_out_once():
    assert expand_corruptions(['snow', 'fog', 'snow']) == ('snow', 'fog')
    assert expand_corruptions(['paper', 'fog', 'gaussian_blur']) == (
        *PRESETS['paper'], 'gaussian_blur')


@pytest.mark.parametrize('name, near', [('papr', 'mean paper'), ('gausian_blur', 'gaussian_b'),
                                        ('zzz', 'Known are paper, common, all')])
def test_the_nearest_name_is_suggested(name, near):
    with pytest.raises(ValueError, match=near):
        expand_corruptions([name])

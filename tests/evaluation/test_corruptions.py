"""Names, the mean corruption error by hand, and the tables."""
import csv

import imagecorruptions
import numpy as np
import pytest

from mmips.evaluation import corruptions as robustness
from mmips.evaluation.corruptions import CorruptionScores

# Errors of the reference: 20 clean, (40, 60) and (30, 50); of the other: 10, (20, 30), (40, 60).
REFERENCE = CorruptionScores(80., np.array([[60., 40.], [70., 50.]]))
OTHER = CorruptionScores(90., np.array([[80., 70.], [60., 40.]]))
SCORES = {'ref': REFERENCE, 'other': OTHER}


def test_names_are_the_library_s():
    names = imagecorruptions.get_corruption_names
    assert robustness.CORRUPTIONS == tuple(names('all'))
    assert robustness.PRESETS['common'] == tuple(names('common'))
    assert robustness.PRESETS['paper'] == (
        'defocus_blur', 'glass_blur', 'motion_blur', 'zoom_blur', 'snow', 'frost', 'fog',
        'brightness', 'contrast', 'elastic_transform')


@pytest.mark.parametrize('given, expected', [
    (['fog', 'snow'], ('fog', 'snow')),
    (['snow', 'fog', 'snow'], ('snow', 'fog')),
    (['paper', 'fog', 'gaussian_blur'], (*robustness.PRESETS['paper'], 'gaussian_blur')),
])
def test_groups_and_names_are_spelled_out_once(given, expected):
    assert robustness.expand_corruptions(given) == expected


@pytest.mark.parametrize('name, near', [('papr', "mean 'paper'"), ('gausian_blur', 'gaussian_b'),
                                        ('zzz', 'Known are paper, common, all')])
def test_the_nearest_name_is_suggested(name, near):
    with pytest.raises(ValueError, match=near):
        robustness.expand_corruptions([name])


def test_corruption_errors_by_hand():
    # 100 (20 + 30) / (40 + 60) and 100 (40 + 60) / (30 + 50).
    errors = robustness.corruption_errors(OTHER, REFERENCE)
    assert errors.tolist() == pytest.approx([50, 125])
    # Without clean errors: (10 + 20) / (20 + 40) and (30 + 50) / (10 + 30).
    relative = robustness.relative_corruption_errors(OTHER, REFERENCE)
    assert relative.tolist() == pytest.approx([50, 200])


def test_the_summary_by_hand():
    means = robustness.summarise(SCORES, 'ref')
    assert means['ref'] == pytest.approx(dict(clean=80, accuracy=55, mce=100, relative_mce=100))
    assert means['other'] == pytest.approx(
        dict(clean=90, accuracy=62.5, mce=87.5, relative_mce=125))
    assert robustness.summarise(SCORES, 'other')['ref']['mce'] == pytest.approx((200 + 80) / 2)


def test_a_reference_without_errors_counts_as_unknown():
    perfect = CorruptionScores(100., np.array([[100., 100.], [70., 50.]]))
    errors = robustness.corruption_errors(OTHER, perfect)
    assert np.isnan(errors[0]) and errors[1] == pytest.approx(125)
    means = robustness.summarise({'ref': perfect, 'other': OTHER}, 'ref')
    assert means['other']['mce'] == pytest.approx(125)
    # Corruptions that do no harm, or even good.
    better = CorruptionScores(60., np.array([[60., 60.], [70., 50.1]]))
    means = robustness.summarise({'ref': better, 'other': OTHER}, 'ref')
    assert np.isnan(means['other']['relative_mce']) and not np.isnan(means['other']['mce'])
    table = robustness.corruption_table({'ref': better, 'other': OTHER}, ['fog', 'snow'], [1, 5],
                                        'ref')
    assert '| relative mCE %, lower is better | \u2013 | \u2013 |' in table


def test_the_table_prints_errors_as_table_11():
    lines = robustness.corruption_table({'ref': REFERENCE, 'a|b': OTHER}, ['fog', 'snow'], [1, 5],
                                        'ref').splitlines()
    assert lines[0] == '| error %, lower is better | ref | a\\|b |'
    for line in ('| clean | 20.00 | **10.00** |', '| fog | 50.00 | **25.00** |',
                 '| snow | **40.00** | 50.00 |', '| mean of the corruptions | 45.00 | **37.50** |',
                 '| accuracy %, higher is better | 55.00 | **62.50** |',
                 '| mCE %, lower is better | 100.00 | **87.50** |',
                 '| relative mCE %, lower is better | **100.00** | 125.00 |',
                 '| severity 1 | 65.00 | **70.00** |', '| severity 5 | 45.00 | **55.00** |'):
        assert line in lines
    alone = robustness.corruption_table({'ref': REFERENCE}, ['fog', 'snow'], [1, 5], 'ref')
    assert '**' not in alone


def test_tables_are_written(tmp_path):
    rows = [dict(checkpoint='a, b', accuracy=1.5), dict(checkpoint='c', accuracy=2)]
    robustness.write_tables(tmp_path, 'text \u2013\n', rows)
    assert (tmp_path / 'corruptions.md').read_text(encoding='utf-8') == 'text \u2013\n'
    with open(tmp_path / 'corruptions.csv', newline='') as file:
        assert list(csv.DictReader(file)) == [dict(checkpoint='a, b', accuracy='1.5'),
                                              dict(checkpoint='c', accuracy='2')]
    assert sorted(path.name for path in tmp_path.iterdir()) == ['corruptions.csv',
                                                                'corruptions.md']

"""From a config to an augment."""
import pytest

from mmips.models.batch_augments import CutOut
from mmips.models.batch_augments.building import build_augment


def test_ours_and_mmpretrain_s_by_config():
    assert isinstance(build_augment(dict(type='mmips.CutOut', length=3)), CutOut)
    assert build_augment(dict(type='CutMix', alpha=0.5)).alpha == 0.5
    assert build_augment(dict(type='mmpretrain.Mixup', alpha=0.5)).alpha == 0.5


def test_what_is_built_already_is_returned():
    augment = CutOut()
    assert build_augment(augment) is augment


@pytest.mark.parametrize('augment', ['CutMix', None, 3, [CutOut()]])
def test_anything_else(augment):
    with pytest.raises(TypeError, match=r'or a callable, but got'):
        build_augment(augment)

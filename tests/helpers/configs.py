"""Our configs: read once, and what makes two of them alike."""
import copy
import functools
import json
import os
from pathlib import Path

from mmengine.config import Config

from mmips.config.loading import find_config

ROOT = Path(__file__).resolve().parents[2]


def names(*folders):
    """The configs of some folders of ``configs/``, as ``mmips.cfg`` takes them."""
    return sorted(path.relative_to(ROOT / 'configs').as_posix()
                  for folder in folders for path in (ROOT / 'configs').glob(f'{folder}/*.py'))


@functools.cache
def _load(name, _environment):
    return Config.fromfile(find_config(name))


def load(name):
    """A copy of a parsed config; each is parsed once for each setting of our variables."""
    own = tuple((key, value) for key, value in os.environ.items() if key.startswith('MMIPS_'))
    return copy.deepcopy(_load(name, own))


def parts(name):
    """What a config consists of down to its second level, numbers taken out."""
    found = set()
    for key, value in load(name).to_dict().items():
        below = value.items() if isinstance(value, dict) else [('', value)]
        found |= {f'{key}.{field} = {json.dumps(_structure(part), sort_keys=True, default=str)}'
                  for field, part in below}
    return found


def _structure(value):
    """A number is as good as another, and as a list of numbers."""
    if isinstance(value, dict):
        return {str(key): _structure(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        inner = [_structure(part) for part in value]
        return 'number' if inner and set(map(str, inner)) == {'number'} else inner
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return 'number' if is_number else value


def untrained(trained, every):
    """Parts of the configs that no trained one has, and one config for each."""
    seen = set().union(*map(parts, trained))
    return {part: name for name in every for part in parts(name) - seen}


def narrow(model):
    """Make a config with a ResNet-50 an eighth as wide, for tests in a tenth of the time."""
    if model.backbone.depth != 50:
        return
    model.backbone.update(stem_channels=8, base_channels=8)
    for part in ('decode_head', 'auxiliary_head', 'neck', 'bbox_head'):
        for key in ('in_channels', 'channels', 'c1_in_channels', 'c1_channels', 'out_channels'):
            width = (model.get(part) or {}).get(key)
            if width:
                model[part][key] = ([each // 8 for each in width]
                                    if isinstance(width, (list, tuple)) else width // 8)

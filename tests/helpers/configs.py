"""Our configs: read once, and what makes two of them alike."""
import copy
import functools
import json
import os
import re
from pathlib import Path

from mmengine.config import Config

from mmips.config.loading import find_config
from mmips.config.sources import iter_parts

ROOT = Path(__file__).resolve().parents[2]
# The augmentations of the paper's Table 13, and its best probability of the swap beside each.
MIXING = {'cutmix': 0.1, 'mixup': 0.5, 'cutout': 0.3}


def names(*folders):
    """The configs of some folders of ``configs/``, as ``mmips.cfg`` takes them."""
    return sorted(path.relative_to(ROOT / 'configs').as_posix()
                  for folder in folders for path in (ROOT / 'configs').glob(f'{folder}/*.py'))


def base_of(name):
    """The base that one of our configs names; of several the first."""
    text = (ROOT / 'configs' / name).read_text(encoding='utf-8')
    return re.search(r"^_base_ = \[?\s*'(.*?)'", text, re.MULTILINE).group(1)


#: IPS at equal cost over one of mmpretrain's recipes, which is itself the twin.
RECIPES = [name for name in names('ips')
           if '_ips-eqcost' in name and base_of(name).startswith('mmpretrain::')]


def twin(name):
    """The config without IPS that an IPS config is to be compared with."""
    return re.sub(r'_ips(-mmpretrain|-finetune)?[^_]*_', rf'_{mixing(name) or "hard"}\1_', name)


def mixing(name):
    """The augmentation beside IPS that a config is named for, or None."""
    found = re.search('|'.join(MIXING), name)
    return found and found.group()


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


#: What of a network's parts is as wide as its backbone.
WIDTHS = ('in_channels', 'channels', 'c1_in_channels', 'c1_channels', 'out_channels',
          'feat_channels', 'conv_out_channels', 'fc_out_channels')


def narrow(model):
    """Make a config with a ResNet-50 an eighth as wide, for tests in a tenth of the time."""
    if model.backbone.depth != 50:
        return
    model.backbone.update(stem_channels=8, base_channels=8)
    _divide_widths(model)


def _divide_widths(node):
    for key, value in iter_parts(node):
        if key in WIDTHS:
            node[key] = [each // 8 for each in value] if isinstance(
                value, (list, tuple)) else value // 8
        else:
            _divide_widths(value)

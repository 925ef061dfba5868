"""mmpretrain finds our models by name, as docs/upstream.md says."""
import re
from pathlib import Path

import pytest
import yaml
from helpers.configs import ROOT

from mmips.compat import has_mmcv_ops, has_package
from mmips.models import SelfDistillClassifier


@pytest.fixture
def registered(monkeypatch):
    """What the example of the docs leaves behind."""
    from mmpretrain.apis import ModelHub
    monkeypatch.setattr(ModelHub, '_models_dict', {})
    # mmpretrain's own are read once a process, and would be lost with the list.
    monkeypatch.setattr(ModelHub, '_ModelHub__mmpretrain_registered', True)
    text = (ROOT / 'docs/upstream.md').read_text(encoding='utf-8')
    example, = re.findall(r'```python\n(.*?)```', text, re.DOTALL)
    names = {}
    exec(example, names)
    return dict(names, found=ModelHub._models_dict)


def test_each_name_leads_to_its_config(registered, capsys):
    models = [model for path in (ROOT / 'configs').glob('*/metafile.yml')
              for model in yaml.safe_load(path.read_text())['Models']]
    assert {name: Path(model.config).resolve() for name, model in registered['found'].items()} == {
        model['Name'].lower(): (ROOT / model['Config']).resolve() for model in models}
    assert all(Path(model.config).is_file() for model in registered['found'].values())


def test_models_are_built_by_name(registered, npz, capsys):
    model, get_model = registered['model'], registered['get_model']
    assert isinstance(model, SelfDistillClassifier) and model.head is None
    kinds = {'resnet-s_hard_digits': 'ImageClassifier', 'resnet-s_ips_npz': 'SelfDistillClassifier'}
    if has_package('mmseg'):
        kinds['fcn_r50_ips_voc12aug'] = 'EncoderDecoder'
    if has_package('mmdet') and has_mmcv_ops():
        kinds['ssd300_r18-w16_ips_bccd'] = 'SingleStageDetector'
    assert {name: type(get_model(name)).__name__ for name in kinds} == kinds

import re
from pathlib import Path

import mmengine
import pytest
import torch
from helpers.tools import load_tool

import mmips
from mmips.config import sources


@pytest.fixture
def checkpoint(elsewhere):
    """Untrained weights of the digits network."""
    from mmpretrain.apis import get_model
    torch.save(dict(state_dict=get_model(mmips.cfg('ips/resnet-s_ips_digits.py')).state_dict()),
               'w.pth')
    return 'w.pth'


def test_predictions_pictures_and_tta(evaluate, digits_config, checkpoint):
    plain = evaluate([str(digits_config), checkpoint, '--out', 'p.pkl', '--show-dir', 'pictures',
                      '--interval', '80'])
    predictions = mmengine.load('p.pkl')
    hits = [int(p['pred_label']) == int(p['gt_label']) for p in predictions]
    assert plain['accuracy/top1'] == pytest.approx(100 * sum(hits) / len(hits), abs=1e-3)
    flipped = evaluate([str(digits_config), checkpoint, '--tta', '--out', 'f.pkl'])
    assert not torch.equal(mmengine.load('f.pkl')[0]['pred_score'], predictions[0]['pred_score'])
    assert set(flipped) == set(plain)
    assert list(Path().rglob('pictures/**/*.png'))


@pytest.mark.parametrize('argv, words', [
    (['absent.pth'], "The checkpoint 'absent.pth', named by load_from"),
    (['w.pth', '--out-item', 'pred'], '--out-item pred needs --out FILE'),
    (['w.pth', '--cfg-options', 'test_dataloader=None'], 'The config has no test_dataloader')])
def test_messages(evaluate, digits_config, elsewhere, argv, words, capsys):
    with pytest.raises(SystemExit) as caught:
        evaluate([str(digits_config), *argv])
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize('name', ['seg/deeplabv3plus_r18-w16_ips_camvid.py',
                                  'det/ssd300_r18-w16_ips_bccd.py'])
def test_pretraining_that_the_checkpoint_takes_the_place_of_is_not_asked_for(name):
    tool = load_tool('test.py')
    cfg = tool.read_config(tool.parse_args([mmips.cfg(name), 'x.pth']))
    assert cfg.model.backbone.init_cfg is None and cfg.load_from == 'x.pth'
    said, = sources.missing_checkpoints(cfg)
    assert said == ('load_from', 'x.pth')


@pytest.mark.parametrize('argv, words', [
    (['--out', 'p.json'], r"--out 'p.json' must be .* ends in .pkl"),
    (['--out', ''], "--out '' must be"), (['--out', 'd.pkl'], "--out 'd.pkl' must be"),
    (['--out', 'p.txt', '--out-item', 'metrics'], r"--out 'p.txt' must be .* in .pkl or .json"),
    (['--show-dir', ''], '--show-dir needs the name of a folder'),
    (['--show-dir', 's', '--tta'], 'leave --tta or'), (['--interval', '0'], 'at least 1')])
def test_what_would_fail_only_once_all_is_predicted(evaluate, elsewhere, capsys, argv, words):
    (elsewhere / 'd.pkl').mkdir()
    with pytest.raises(SystemExit) as end:
        evaluate(['ips/resnet-s_ips_digits.py', 'x.pth', *argv])
    assert end.value.code == 2 and re.search(words, capsys.readouterr().err)

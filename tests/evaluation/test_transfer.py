"""What compare_transfer trains and tabulates, without a training."""
from pathlib import Path

import pytest

import mmips
from mmips.compat import has_package
from mmips.evaluation import transfer
from mmips.runs import sweep_checks
from mmips.runs.sweep_file import read_sweep

SWEEP = transfer.transfer_sweep('resnet18-w16', {'camvid': Path('x'), 'bccd': Path('y')}, [0, 1],
                                {'train_cfg.max_epochs': 3})
TABLE = """\
| | start | images seen | seeds | mean ± std | above hard label |
|---|---|---|---|---|---|
| pretraining, top-1 % | hard label | 48 | 0: 30.00, 1: 32.00 | 31.00 ± 1.41 |  |
| pretraining, top-1 % | IPS 4x4 | 48 | 0: 33.00, 1: 33.00 | 33.00 ± 0.00 | 2.00 ± 1.41 |
| BCCD detection, SSD300, mAP % | random weights | 9 | 1: 50.00 | 50.00 | -10.00 |
| BCCD detection, SSD300, mAP % | hard label | 9 | 0: 70.00, 1: 60.00 | 65.00 ± 7.07 |  |"""


def test_table_compares_seed_by_seed(tmp_path):
    names = {recipe.folder: recipe.name for recipe in SWEEP.recipes}
    values = {'pretrain/hard': {0: 30., 1: 32.}, 'pretrain/ips': {0: 33., 1: 33.},
              'bccd/random': {1: 50.}, 'bccd/hard': {0: 70., 1: 60.}}
    results = {(names[folder], seed): dict(
        images=[1, 48 if 'pretrain' in folder else 9], scores=[1., value], seconds=1,
        test={'pascal_voc/mAP': value / 100})
        for folder, scores in values.items() for seed, value in scores.items()}
    results[names['bccd/ips'], 0] = dict(failed='so')
    assert transfer.write_table(SWEEP, results, tmp_path).endswith(
        TABLE.replace('| | start', '|  | start') + '\n')
    rows = (tmp_path / 'results.csv').read_text().splitlines()
    assert rows[0] == 'what,start,seed,score,images_seen,seconds' and len(rows) == 8
    assert rows[5] == '"BCCD detection, SSD300, mAP %",random,1,50.00,9,1'


def test_a_diverged_seed_is_seen(tmp_path):
    names = {recipe.folder: recipe.name for recipe in SWEEP.recipes}
    results = {(names[f'pretrain/{start}'], seed): dict(
        images=[1], scores=[score], seconds=1) for start, scores in (
            ('hard', {0: 30., 1: 32.}), ('ips', {0: 33., 1: float('nan')}))
        for seed, score in scores.items()}
    text = transfer.write_table(SWEEP, results, tmp_path)
    assert '| IPS 4x4 | 1 | 0: 33.00, 1: nan | nan ± nan | nan ± nan |' in text


def test_pretrains_as_the_sweep_of_backbones_does():
    theirs = read_sweep(Path(mmips.cfg('ips/resnet-s_hard_npz.py')).parents[1]
                        / 'sweeps/npz_backbone.yml')
    ours = SWEEP.recipes[:2]
    assert [recipe.folder for recipe in ours] == ['pretrain/hard', 'pretrain/ips']
    # Their folders are named after the recipes.
    assert [recipe.but(folder='') for recipe in ours] == [
        recipe.but(folder='') for recipe in theirs.recipes]
    assert SWEEP.curves == theirs.curves


@pytest.mark.skipif(not has_package('mmseg'), reason='needs mmseg')
def test_recipes_of_the_starts_are_identical_but_for_the_weights():
    random, _, given = SWEEP.recipes[2:5]
    assert (random.start, given.start) == ('random weights', 'IPS 4x4')
    random, given = (sweep_checks.load_recipe(SWEEP, recipe, checkpoint=path)
                     for recipe, path in ((random, None), (given, Path('x.pth'))))
    assert given.model.backbone.init_cfg.checkpoint == 'x.pth'
    assert random.model.backbone.pop('init_cfg') is None
    given.model.backbone.pop('init_cfg')
    assert [hook.type for hook in given.custom_hooks if hook not in random.custom_hooks] == [
        'mmips.CheckPretrained']
    given.pop('custom_hooks'), random.pop('custom_hooks')
    assert random.to_dict() == given.to_dict()
    assert given.train_cfg.max_epochs == 3 and given.default_hooks.checkpoint.max_keep_ckpts == 1


@pytest.mark.parametrize('network, name', [('resnet18-w16', 'r18-w16'), ('resnet50', 'r50')])
def test_every_config_is_there(network, name):
    found = transfer.transfer_sweep(network, dict.fromkeys(transfer.TASKS, Path('x')), [0], {})
    assert len(found.recipes) == 8 and all(Path(recipe.config).is_file()
                                           for recipe in found.recipes)
    assert all(name in recipe.config for recipe in found.recipes[2:])

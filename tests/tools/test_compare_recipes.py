import contextlib
import importlib
import json
import re
import time
from pathlib import Path

import pytest
from mmengine.runner import ValLoop

PATH = Path(__file__).parents[2] / 'tools' / 'compare_recipes.py'
TINY = {'train_cfg.max_epochs': 2, 'model.backbone.base_channels': 4,
        'model.backbone.stem_channels': 4, 'model.head.in_channels': 16,
        'default_hooks.checkpoint.interval': 1}


@pytest.fixture
def tool(monkeypatch):
    # By name rather than by path: worker processes import it too.
    monkeypatch.syspath_prepend(str(PATH.parent))
    return importlib.import_module('compare_recipes')


@pytest.fixture
def family(tool, npz, monkeypatch):
    """Two recipes small enough for a test."""
    recipes = {
        'hard': tool.Recipe('hard label', 'ips/resnet-s_hard_npz.py', TINY),
        'ips': tool.Recipe('IPS', 'ips/resnet-s_ips-eqcost_npz.py', TINY),
    }
    monkeypatch.setitem(tool.FAMILIES, 'tiny', recipes)
    return recipes


def test_runs_compares_and_never_repeats_finished_work(tool, family, tmp_path, capsys,
                                                        monkeypatch):
    table = tool.compare('tiny', seeds=[0, 1], jobs=1, work_dir=tmp_path / 'out')
    out = tmp_path / 'out'
    results = sorted(out.glob('*/seed*/result.json'))
    assert len(results) == 4
    result = json.loads(results[0].read_text())
    assert result['images'] == [24, 48] and len(result['scores']) == 2
    assert '| hard label | 48 | 0: ' in table and ' ± ' in table
    assert table == (out / 'results.md').read_text().strip()
    assert len((out / 'results.csv').read_text().splitlines()) == 5
    assert (out / 'curves.png').stat().st_size > 10_000
    capsys.readouterr()

    times = [path.stat().st_mtime_ns for path in results]
    assert tool.compare('tiny', seeds=[0, 1], jobs=1, work_dir=out) == table
    assert [path.stat().st_mtime_ns for path in results] == times
    assert capsys.readouterr().out == ''

    monkeypatch.setitem(tool.FAMILIES, 'tiny', {'hard': tool.Recipe(
        'hard label', 'ips/resnet-s_hard_npz.py', {**TINY, 'train_cfg.max_epochs': 1})})
    again = dict(family='tiny', seeds=[1], jobs=1, work_dir=out)
    with pytest.raises(SystemExit, match=r'hard/seed1 holds .*differing: config\)\. .*--fresh'):
        tool.compare(**again)
    assert '| hard label | 24 | 1: ' in tool.compare(**again, fresh=True)
    # Those that were not asked for stay.
    assert (out / 'hard' / 'seed0' / 'result.json').stat().st_mtime_ns == times[0]


@contextlib.contextmanager
def killed(epoch, after):
    """Break a run off before, or right after, the validation of an epoch."""
    validate = ValLoop.run

    def run(loop):
        metrics = validate(loop) if after or loop.runner.epoch != epoch else None
        if loop.runner.epoch == epoch:
            raise InterruptedError
        return metrics

    with pytest.MonkeyPatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(ValLoop, 'run', run)
        yield


@pytest.fixture(scope='module')
def unbroken():
    """Cache of the one run that the killed ones are compared with."""
    return {}


@pytest.mark.parametrize('epoch, after', [(2, False), (3, False), (3, True)])
def test_a_killed_run_loses_no_score(tool, family, tmp_path, unbroken, epoch, after):
    options = {**TINY, 'train_cfg.max_epochs': 3, 'optim_wrapper.optimizer.lr': 0.3}
    recipe = tool.Recipe('hard label', 'ips/resnet-s_hard_npz.py', options)
    if not unbroken:
        unbroken.update(tool.train_one(recipe, 0, tmp_path / 'unbroken'))
    assert unbroken['images'] == [24, 48, 72] and not unbroken['resumed']
    work_dir = tmp_path / 'killed'
    with killed(epoch, after):
        tool.train_one(recipe, 0, work_dir)
    assert (work_dir / 'last_checkpoint').read_text().endswith(f'epoch_{epoch}.pth')
    assert not (work_dir / 'result.json').exists()
    kept = json.loads((work_dir / 'scores.json').read_text())
    assert sorted(kept) == [str(number) for number in range(1, epoch + after)]

    result = tool.train_one(recipe, 0, work_dir)
    assert result['resumed'] and result['images'] == unbroken['images']
    assert result['scores'] == unbroken['scores']


def test_curves_of_unequal_runs_meet_where_both_were_tested(tool):
    runs = [dict(images=[10, 20, 40], scores=[1., 2., 4.]),
            dict(images=[20, 30, 40], scores=[5., 6., 7.])]
    assert tool.common_points(runs) == ([20, 40], [[2., 5.], [4., 7.]])


def test_a_failed_run_names_its_log_and_stops_the_queue(tool, family, tmp_path):
    bad = {'bad': tool.Recipe('bad', 'ips/resnet-s_hard_npz.py', {'model.head.in_channels': 5})}
    bad['next'] = bad['last'] = tool.Recipe('hard label', 'ips/resnet-s_hard_npz.py', TINY)
    with pytest.raises(SystemExit, match='bad failed .*train.log. Finished runs are kept') as end:
        tool.run_all(bad, [0], 1, tmp_path / 'out')
    assert str(end.value).endswith('after mending it.')
    # The worker takes what is queued at once, so a run that was cancelled too late would show.
    time.sleep(1)
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['bad']


def test_jobs_are_the_cores_that_may_be_used(tool, monkeypatch):
    monkeypatch.setattr('os.sched_getaffinity', lambda pid: {3, 5, 7}, raising=False)
    assert tool.parse_args(['digits']).jobs == 3


@pytest.mark.parametrize('argv,message', [
    (['digits', '--only', 'magic'], r"no recipe \['magic'\] in digits: choose from \['hard'"),
    (['npz', '--npz', 'nowhere.npz'], '--npz must name an existing .npz file, but got nowhere.npz'),
    (['npz'], '--npz must name an existing .npz file, but got None'),
    (['digits', '--jobs', '0'], '--jobs must be at least 1, but got 0'),
])
def test_refuses(tool, argv, message, capsys):
    with pytest.raises(SystemExit):
        tool.parse_args(argv)
    assert re.search(message, capsys.readouterr().err)


def test_recipes_of_a_family_differ_by_what_their_names_say(tool):
    npz = tool.FAMILIES['npz']
    assert npz['swap-only'].options == {'model.alpha': 0.0, 'model.ce_on': 'query'}
    assert npz['no-swap'].options == {'model.train_cfg.augments.0.prob': 0.0}
    assert npz['no-distill'].options == {'model.alpha': 0.0}
    assert npz['ips'].options == npz['hard'].options == {}

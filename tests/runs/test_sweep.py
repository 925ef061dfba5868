import contextlib
import functools
import json

import pytest
from helpers.tiny_sweep import read_tiny, with_options
from mmengine.config import Config
from mmengine.runner import ValLoop

from mmips.config import splits
from mmips.errors import UserError
from mmips.evaluation import predictions
from mmips.runs import files, loaders, sweep, sweep_checks


@pytest.fixture
def read(npz, tmp_path):
    return functools.partial(read_tiny, tmp_path)


def test_curves_need_validations(read):
    recipe = read().recipes[0]
    longer = with_options(recipe, **{'train_cfg.max_epochs': 60})
    own = with_options(longer, **{'train_cfg.val_interval': 7})
    # Curves are of the sweep's metric alone.
    other = longer.but(metric='loss')
    assert [sweep_checks.load_recipe(read(curves=True), kind).train_cfg.val_interval
            for kind in (recipe, longer, own, other)] == [1, 5, 7, 30]
    assert sweep_checks.load_recipe(read(), longer).train_cfg.val_interval == 30


@pytest.mark.parametrize('options, words', [
    ({'model.backbone.dept': 5}, 'recipe lr=0.1 .*resnet-s_hard_npz.py.: .*did you mean depth'),
    ({'train_cfg': dict(_delete_=True, type='IterBasedTrainLoop', max_iters=3)},
     "recipe lr=0.1 .*'IterBasedTrainLoop' has no 'max_epochs'"),
    ({'val_evaluator': None}, 'recipe lr=0.1 .* has no val_evaluator'),
    ({'train_cfg.max_epochs': 0}, 'recipe lr=0.1 .* has no train_cfg.max_epochs, which a sweep'),
    ({'start': 'lr=0.2'}, "recipe lr=0.1 .*start needs .*init_cfg=dict.type='Pretrained'"),
    ({'teacher': 'lr=0.2'}, 'recipe lr=0.1 .*teacher needs a config with model.teacher=dict'),
    ({'train_dataloader.dataset.ann_file': 'gone.npz'}, r'(?s)gone.npz.*train_dataloader.dataset'),
])
def test_refuses_before_anything_is_trained(read, options, words):
    found = read()
    sources = {name: options.pop(name, '') for name in ('start', 'teacher')}
    recipes = [with_options(recipe, **options).but(**sources) for recipe in found.recipes]
    with pytest.raises((UserError, FileNotFoundError), match=words):
        sweep.check_recipes(found, recipes)


@pytest.mark.parametrize('options', [{'test_evaluator.topk': [3]}, {'val_evaluator.topk': [3]}])
def test_a_metric_that_is_none_fails_at_the_first_chance(read, tmp_path, options):
    found = read()
    with pytest.raises(UserError, match="no metric 'accuracy/top1' among .'accuracy/top3'.."):
        sweep.train_recipe(found, with_options(found.recipes[0], **options), 0, tmp_path)


def test_what_train_refuses_is_refused_for_every_recipe(read):
    found = read()
    ips = found.recipes[2]
    ordinary = with_options(ips, **{
        'train_dataloader.sampler': dict(_delete_=True, type='DefaultSampler', shuffle=True)})
    words = r'recipe IPS .*resnet-s_ips_npz.py.: This config cannot train as it is:'
    for recipe, data in ((ordinary, True), (ordinary, False)):
        with pytest.raises(UserError, match=f'(?s){words}.*sampler that yields pairs'):
            sweep.check_recipes(found, (*found.recipes[:2], recipe), data)
    # As it will be with the checkpoint that it starts from, hours later.
    hard = found.recipes[0]
    late = hard.but(name='late', start=hard.name, options={
        **hard.options, 'model.backbone.init_cfg': 5})
    with pytest.raises(UserError, match='recipe late .*init_cfg'):
        sweep.check_recipes(found.but(recipes=(hard, late)), (hard, late))


def test_what_may_not_be_meant_is_told_once_with_its_recipes(read, capsys):
    found = read()
    recipes = [with_options(found.recipes[2], **{'model.train_cfg.augments': None}).but(name=name)
               for name in 'abcde']
    sweep.check_recipes(found, (*found.recipes, *recipes), data=False)
    assert capsys.readouterr().err == ''
    sweep.check_recipes(found, (*found.recipes, *recipes))
    told, = capsys.readouterr().err.splitlines()
    assert told.startswith('a; b; c and 2 more: model.train_cfg.augments has no Intra')


def test_data_is_downloaded_once_and_before_the_runs(read, monkeypatch):
    found, built = read(), []
    monkeypatch.setattr(
        sweep_checks.sources, 'pending_downloads', lambda cfg, fields: [] if built else [
            ('train_dataloader.dataset', cfg.train_dataloader.dataset, ['far.npz'])])
    monkeypatch.setattr('mmengine.registry.DATASETS.build', built.append)
    sweep.check_recipes(found, found.recipes)
    assert [data['type'] for data in built] == ['mmips.ArrayDataset']


def test_trains_and_evaluates_the_last_weights(read, tmp_path):
    found = read()
    recipe = found.recipes[2]
    result = sweep.train_recipe(found, recipe, 3, tmp_path)
    assert result['seed'] == 3 and result['epochs'] == 2 and result['images'] == [96]
    assert result['scores'] == [result['test']['accuracy/top1']]
    cfg = Config.fromfile(tmp_path / 'IPS/seed3/resnet-s_ips_npz.py')
    assert cfg.model.head.in_channels == 16 and cfg.randomness.seed == 3
    # Training images in order, without augmentation, each once.
    splits.prepare_split(cfg, 'train', 'x')
    model, loader = predictions.build_model(cfg, 'cpu'), loaders.build_loader(cfg, 'train')
    for _ in predictions.each_checkpoint(model, {'x': str(tmp_path / 'IPS/seed3/epoch_2.pth')}):
        found = predictions.predict_all(model, loader, 'x')
    assert len(found.labels) == 24
    assert result['train']['accuracy/top1'] == pytest.approx(
        100 * found.right.mean())


def test_runs_of_one_process_log_to_their_own_folders(read, tmp_path):
    found = read(evaluate=())
    recipe = with_options(found.recipes[0], **{'visualizer.name': 'visualizer'})
    for seed in (0, 1):
        sweep.train_recipe(found, recipe, seed, tmp_path)
        assert len(list((tmp_path / recipe.folder / f'seed{seed}').glob('*/vis_data/*.json'))) == 2


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
def test_a_killed_run_loses_no_score(read, tmp_path, unbroken, epoch, after):
    found = read(curves=True)
    recipe = with_options(found.recipes[0], **{'train_cfg.max_epochs': 3})
    if not unbroken:
        unbroken.update(sweep.train_recipe(found, recipe, 0, tmp_path / 'unbroken'))
    assert unbroken['images'] == [24, 48, 72] and not unbroken['resumed']
    folder = sweep.folder_of(tmp_path / 'killed', recipe, 0)
    with killed(epoch, after):
        sweep.train_recipe(found, recipe, 0, tmp_path / 'killed')
    assert (folder / 'last_checkpoint').read_text().endswith(f'epoch_{epoch}.pth')
    assert not (folder / 'result.json').exists()
    kept = json.loads((folder / 'scores.json').read_text())
    assert sorted(kept) == [str(number) for number in range(1, epoch + after)]

    result = sweep.train_recipe(found, recipe, 0, tmp_path / 'killed')
    assert result['resumed'] and result['images'] == unbroken['images']
    assert [result[key] for key in ('scores', 'test', 'train')] == [
        unbroken[key] for key in ('scores', 'test', 'train')]


@pytest.mark.parametrize('after', [False, True])
def test_runs_may_be_counted_in_steps(read, tmp_path, after):
    found = read()
    own = {'train_cfg': dict(_delete_=True, type='IterBasedTrainLoop', max_iters=5, val_interval=2),
           'train_dataloader': dict(batch_size=12, sampler=dict(
               _delete_=True, type='InfiniteSampler', shuffle=True)),
           'default_hooks.checkpoint': dict(by_epoch=False, interval=1),
           'default_hooks.logger.interval': 1, 'custom_hooks': [], 'param_scheduler': None}
    recipe = found.recipes[0].but(options={**own, **{
        key: value for key, value in found.recipes[0].options.items()
        if not key.startswith(('train_cfg', 'default_hooks'))}})
    sweep.check_recipes(found, [recipe])
    validate = ValLoop.run

    def run(loop):
        metrics = validate(loop) if after or loop.runner.iter != 5 else None
        if loop.runner.iter == 5:
            raise InterruptedError
        return metrics

    with pytest.MonkeyPatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(ValLoop, 'run', run)
        sweep.train_recipe(found, recipe, 0, tmp_path)
    kept = json.loads((tmp_path / recipe.folder / 'seed0/scores.json').read_text())
    assert list(kept) == ['2', '4', '5'][:2 + after]
    result = sweep.train_recipe(found, recipe, 0, tmp_path)
    # 24 images.
    assert result['images'] == [24, 48, 60] and result['epochs'] == 2 and result['resumed']
    assert result['scores'][:2] == [kept['2'], kept['4']]
    assert result['scores'][2] == result['test']['accuracy/top1']


def test_what_was_not_evaluated_everywhere_is_evaluated_and_not_trained(read, tmp_path):
    found = read(seeds=(0, ))
    recipe, fewer = found.recipes[0], read(seeds=(0, ), evaluate=('test', ))
    folder = sweep.folder_of(tmp_path, recipe, 0)
    once = sweep.train_recipe(fewer, recipe, 0, tmp_path)
    files.write_json(folder / 'result.json', once)
    weights = (folder / 'epoch_2.pth').read_bytes()
    assert sweep.collect(fewer, tmp_path) == {(recipe.name, 0): once}
    assert sweep.collect(found, tmp_path) == {}
    again = sweep.train_recipe(found, recipe, 0, tmp_path)
    assert again['resumed'] and again['scores'] == once['scores']
    assert again['test'] == once['test'] and 0 <= again['train']['accuracy/top1'] <= 100
    assert (folder / 'epoch_2.pth').read_bytes() == weights
    files.write_json(folder / 'failure.json', dict(failed='so'))
    assert sweep.collect(found, tmp_path)[recipe.name, 0] == dict(failed='so')


def test_what_failed_is_left_until_it_is_tried_again_or_forgotten(read, tmp_path):
    hard = read().recipes[0]
    other = with_options(hard, **{'model.backbone.init_cfg': dict(type='Pretrained')})
    found = read(seeds=(0, ), recipes=(hard, other.but(name='b', folder='b', start=hard.name)))
    told = []

    def engine(tasks):
        told.append([task() for task in tasks])
        yield from zip(tasks, told[-1])

    for options in (dict(), dict(), dict(retry=True), dict(fresh=True)):
        sweep.train_recipes(found, found.recipes[1:], tmp_path, engine, **options)
    assert list(map(len, told)) == [1, 0, 1, 1]
    assert 'b, seed 0, starts from lr=0.1, which has not ended' in told[-1][0]['failed']
    assert json.loads((tmp_path / 'b/seed0/failure.json').read_text()) == told[-1][0]

    def interrupted(tasks):
        raise KeyboardInterrupt

    with pytest.raises(UserError, match=f'Interrupted. Finished runs are kept in {tmp_path}'):
        sweep.train_recipes(found, found.recipes, tmp_path, interrupted)

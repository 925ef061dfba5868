"""What a report reads from a folder."""
import pytest
from logs import write_run

from mmips.visualization import report_data
from mmips.visualization.report_data import collect


def test_a_run_has_what_was_logged(tmp_path):
    write_run(tmp_path / 'ips/seed3', [
        {'loss': 2.5, 'lr': 0.1, 'epoch': 1, 'iter': 10, 'step': 10},
        {'accuracy/top1': 12.5, 'step': 1},
        {'loss': 1.5, 'lr': 0.1, 'epoch': 2, 'iter': 20, 'step': 20},
        '{"loss": 0.5, "it'],
        "randomness = dict(seed=3)\nwork_dir = 'a'\nlr = 0.1\n")
    run, = collect(tmp_path).runs
    assert run.name == 'ips/seed3' and run.seed == '3'
    assert run.scalars == {'loss': [(10, 2.5), (20, 1.5)], 'lr': [(10, 0.1), (20, 0.1)],
                           'accuracy/top1': [(1, 12.5)]}
    assert run.units == {'loss': 'iteration', 'lr': 'iteration', 'accuracy/top1': 'epoch'}


def test_seeds_share_a_setup_and_other_configs_do_not(tmp_path):
    for seed in range(2):
        write_run(tmp_path / f'a/seed{seed}', [{'loss': 1., 'iter': 1}],
                  f"randomness = dict(seed={seed})\nwork_dir = 'a/seed{seed}'\nlr = 0.1\n")
    write_run(tmp_path / 'b/seed0', [{'loss': 1., 'iter': 1}],
              'randomness = dict(seed=0)\nlr = 1\n')
    first, second, other = collect(tmp_path).runs
    assert first.setup == second.setup != other.setup
    assert [run.name for run in (first, second, other)] == ['a/seed0', 'a/seed1', 'b/seed0']


def test_a_resumed_run_is_one_and_what_it_repeats_counts(tmp_path):
    write_run(tmp_path, [{'loss': 3., 'iter': 1}, {'loss': 2., 'iter': 2}], time='20260101_000000')
    write_run(tmp_path, [{'loss': 1., 'iter': 2}, {'loss': 0., 'iter': 3}], time='20260101_000001')
    run, = collect(tmp_path).runs
    assert run.scalars == {'loss': [(1, 3), (2, 1), (3, 0)]}
    assert run.name == tmp_path.name


def test_validation_of_iteration_based_runs_counts_iterations(tmp_path):
    write_run(tmp_path, [{'mIoU': 30., 'step': 8000}],
              "train_cfg = dict(type='IterBasedTrainLoop')")
    run, = collect(tmp_path).runs
    assert run.units == {'mIoU': 'iteration'}


def test_tables_and_pictures_are_found_below(tmp_path):
    (tmp_path / 'deep').mkdir()
    (tmp_path / '.hidden').mkdir()
    (tmp_path / 'x.csv').write_text('a,b\n1,"2,5"\n')
    (tmp_path / 'deep/y.md').write_text('| a |\n|---|\n| 1 |\n')
    (tmp_path / 'deep/z.PNG').write_bytes(b'no real picture')
    (tmp_path / '.hidden/w.csv').write_text('a\n1\n')
    section = collect(tmp_path)
    assert [(table.path.name, table.header, table.rows) for table in section.tables] == [
        ('x.csv', ['a', 'b'], [['1', '2,5']]), ('y.md', [], [])]
    assert [picture.path.name for picture in section.pictures] == ['z.PNG']


def test_long_tables_are_cut_and_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr(report_data, 'MAX_ROWS', 3)
    (tmp_path / 'x.csv').write_text('a\n' + '1\n' * 5)
    table, = collect(tmp_path).tables
    assert len(table.rows) == 3 and table.hidden_rows == 2


def test_what_cannot_be_read_is_named_and_the_rest_is_there(tmp_path):
    (tmp_path / 'good.csv').write_text('a\n1\n')
    (tmp_path / 'bad.md').write_bytes(b'\xff\xfe\xff')
    section = collect(tmp_path)
    assert [table.path.name for table in section.tables] == ['good.csv']
    assert len(section.skipped) == 1 and 'bad.md' in section.skipped[0]


def test_folders_without_results_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere is not a folder'):
        collect(tmp_path / 'nowhere')
    with pytest.raises(ValueError, match='holds nothing to report'):
        collect(tmp_path)

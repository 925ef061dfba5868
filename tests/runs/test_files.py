"""Files take another's place whole or not at all; what JSON does not know."""
import csv
import json

import numpy as np
import pytest

from mmips.errors import UserError
from mmips.runs import files


@pytest.mark.parametrize('write', [
    lambda path: files.write_text(path, 'gr\u00fcn\n'),
    lambda path: files.write_csv(str(path), ['gr\u00fcn'], [])])
def test_a_file_takes_the_place_of_another(tmp_path, write):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    write(path)
    assert path.read_text(encoding='utf-8').strip() == 'gr\u00fcn'
    assert [file.name for file in tmp_path.iterdir()] == ['a.txt']


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    for mode, half in (('w', 'half'), ('wb', b'half')):
        with pytest.raises(KeyboardInterrupt), files.replacing(path, mode) as file:
            file.write(half)
            raise KeyboardInterrupt
        assert path.read_text() == 'old'


def test_tables_are_read_as_they_were_written(tmp_path):
    rows = [['a, "b"', 'two\nlines', '1']]
    files.write_csv(tmp_path / 'a.csv', ('x', 'y', 'z'), iter(rows))
    with open(tmp_path / 'a.csv', newline='', encoding='utf-8') as file:
        assert list(csv.reader(file)) == [['x', 'y', 'z'], *rows]


def test_what_json_does_not_know():
    value = dict(a=[np.nan, np.float64(np.inf)], b=(1, np.arange(2)), c=np.float32(-np.inf))
    assert files.plain(value) == dict(a=[None, 'inf'], b=[1, [0, 1]], c='-inf')
    json.dumps(files.plain(value), allow_nan=False)


def test_a_half_written_file_never_takes_the_place_of_a_whole_one(tmp_path):
    path = tmp_path / 'result.json'
    files.write_json(path, [1])
    with pytest.raises(TypeError):
        files.write_json(path, [object()])
    assert json.loads(path.read_text()) == [1]


def test_results_go_on_where_they_were_left(tmp_path):
    path = tmp_path / 'done.json'
    assert files.read_results(path) == {}
    files.write_json(path, {'key': [1, 2]})
    assert files.read_results(path) == {'key': [1, 2]}
    for text in ('{"key": [1', '[1, 2]'):
        path.write_text(text)
        with pytest.raises(UserError, match='done.json is not readable .* Remove it'):
            files.read_results(path)

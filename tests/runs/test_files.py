"""Files take another's place whole or not at all; what JSON does not know."""
import json

import numpy as np
import pytest

from mmips.errors import UserError
from mmips.runs import files


def test_a_file_takes_the_place_of_another_whole_or_not_at_all(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    for mode, half in (('w', 'half'), ('wb', b'half')):
        with pytest.raises(KeyboardInterrupt), files.replacing(path, mode) as file:
            file.write(half)
            raise KeyboardInterrupt
    with pytest.raises(TypeError):
        files.write_json(path, [object()])
    assert path.read_text() == 'old'
    files.write_text(path, 'gr\u00fcn\n')
    assert path.read_text(encoding='utf-8') == 'gr\u00fcn\n'
    files.write_json(path, [1])
    assert json.loads(path.read_text()) == [1]
    assert list(tmp_path.iterdir()) == [path]


def test_two_processes_of_a_run_write_the_same_file(tmp_path, monkeypatch):
    path = tmp_path / 'a.txt'
    with files.replacing(path) as first:
        first.write('of rank 0')
        monkeypatch.setenv('RANK', '1')
        files.write_text(path, 'of rank 1')
    assert path.read_text() == 'of rank 0' and list(tmp_path.iterdir()) == [path]


def test_what_json_does_not_know():
    value = dict(a=[np.nan, np.float64(np.inf)], b=(1, np.arange(2)), c=np.float32(-np.inf))
    assert files.plain(value) == dict(a=[None, 'inf'], b=[1, [0, 1]], c='-inf')
    json.dumps(files.plain(value), allow_nan=False)


def test_results_go_on_where_they_were_left(tmp_path):
    path = tmp_path / 'done.json'
    assert files.read_results(path) == {}
    files.write_json(path, {'key': [1, 2]})
    assert files.read_results(path) == {'key': [1, 2]}
    for text in ('{"key": [1', '[1, 2]'):
        path.write_text(text)
        with pytest.raises(UserError, match='done.json is not readable .* Remove it'):
            files.read_results(path)

import json
import os

import pytest
from mmengine.config import Config

from mmips.engine import runs


@pytest.mark.parametrize('left', ['result.json', 'last_checkpoint'])
def test_a_folder_with_another_run_is_refused(tmp_path, left):
    data = tmp_path / 'data.npz'
    data.write_bytes(b'one')
    cfg = Config(dict(model=dict(width=1)))
    mark = runs.fingerprint(cfg, [data])
    assert mark == runs.fingerprint(cfg, [data])
    runs.write_json(tmp_path / 'fingerprint.json', mark)
    (tmp_path / left).touch()
    runs.check_folder(tmp_path, json.loads(json.dumps(mark)))

    def refuses(words, config, files):
        with pytest.raises(ValueError, match=f'{tmp_path} holds a run of {words}.*--work-dir'):
            runs.check_folder(tmp_path, runs.fingerprint(config, files))

    refuses(r'another setup \(differing: config\)', Config(dict(model=dict(width=2))), [data])
    os.utime(data, ns=(1, 1))
    refuses(rf'another setup \(differing: {data}\)', cfg, [data])
    refuses(rf'another setup \(differing: {data}\)', cfg, [])
    (tmp_path / 'fingerprint.json').unlink()
    refuses('an unknown setup', cfg, [data])
    (tmp_path / left).unlink()
    runs.check_folder(tmp_path, mark)


def test_a_result_without_all_scores_is_refused(tmp_path):
    path = tmp_path / 'result.json'
    path.write_text(json.dumps(dict(images=[24, 48], scores=[50.])))
    with pytest.raises(SystemExit, match='result.json has 1 scores at 2 numbers of images'):
        runs.read_result(path)


def test_a_half_written_file_never_takes_the_place_of_a_whole_one(tmp_path):
    path = tmp_path / 'result.json'
    runs.write_json(path, [1])
    with pytest.raises(TypeError):
        runs.write_json(path, [object()])
    assert json.loads(path.read_text()) == [1]


def test_cores_are_those_that_may_be_used(monkeypatch):
    monkeypatch.setattr('os.sched_getaffinity', lambda pid: {3, 5, 7}, raising=False)
    assert runs.cores() == 3
    monkeypatch.delattr('os.sched_getaffinity')
    monkeypatch.setattr('os.cpu_count', lambda: None)
    assert runs.cores() == 1

import json
import multiprocessing
import os
import time

import pytest
from mmengine.config import Config

from mmips.runs import files, fingerprints, training


@pytest.mark.parametrize('left', ['result.json', 'last_checkpoint'])
def test_a_folder_with_another_run_is_refused(tmp_path, left):
    data = tmp_path / 'data.npz'
    data.write_bytes(b'one')
    cfg = Config(dict(model=dict(width=1)))
    mark = fingerprints.fingerprint(cfg, [data])
    assert mark == fingerprints.fingerprint(cfg, [data])
    files.write_json(tmp_path / 'fingerprint.json', mark)
    (tmp_path / left).touch()
    training.check_folder(tmp_path, json.loads(json.dumps(mark)))

    def refuses(words, config, files):
        with pytest.raises(ValueError, match=f'{tmp_path} holds a run of {words}.*--work-dir'):
            training.check_folder(tmp_path, fingerprints.fingerprint(config, files))

    refuses(r'another setup \(differing: config\)', Config(dict(model=dict(width=2))), [data])
    os.utime(data, ns=(1, 1))
    refuses(rf'another setup \(differing: {data}\)', cfg, [data])
    refuses(rf'another setup \(differing: {data}\)', cfg, [])
    (tmp_path / 'fingerprint.json').unlink()
    refuses('an unknown setup', cfg, [data])
    (tmp_path / left).unlink()
    training.check_folder(tmp_path, mark)


def test_a_result_without_all_scores_is_refused(tmp_path):
    path = tmp_path / 'result.json'
    path.write_text(json.dumps(dict(images=[24, 48], scores=[50.])))
    with pytest.raises(SystemExit, match='result.json has 1 scores at 2 numbers of images'):
        training.read_result(path)


def test_cores_are_those_that_may_be_used(monkeypatch):
    monkeypatch.setattr('os.sched_getaffinity', lambda pid: {3, 5, 7}, raising=False)
    assert training.cores() == 3
    monkeypatch.delattr('os.sched_getaffinity')
    monkeypatch.setattr('os.cpu_count', lambda: None)
    assert training.cores() == 1


def task(folder, name, expression):
    """A task that another process can do without this file."""
    return name, folder / name, eval, (expression, )


def test_the_others_go_on_when_one_fails_or_dies(tmp_path):
    env = "dict(device=__import__('os').environ.get('CUDA_VISIBLE_DEVICES'))"
    tasks = [task(tmp_path, 'one', env), task(tmp_path, 'bad', '1 / 0'),
             task(tmp_path, 'dead', "__import__('os')._exit(3)"), task(tmp_path, 'last', env)]
    before = os.environ.get('CUDA_VISIBLE_DEVICES')
    done = {name: result for (name, *_), result in training.run_tasks(tasks, 1, ['7'], True)}
    assert os.environ.get('CUDA_VISIBLE_DEVICES') == before
    assert list(done) == ['one', 'bad', 'dead', 'last']
    assert done['one'] == done['last'] == dict(device='7')
    assert done['bad'] == dict(failed='ZeroDivisionError: division by zero')
    assert done['dead']['failed'].startswith('its process died')
    for name, result in done.items():
        file = 'failure.json' if 'failed' in result else 'result.json'
        assert json.loads((tmp_path / name / file).read_text()) == result
        assert [path.suffix for path in (tmp_path / name).iterdir()].count('.json') == 1
    assert 'Traceback' in (tmp_path / 'bad' / 'train.log').read_text()


def test_a_failed_run_names_its_log_and_stops_the_queue(tmp_path):
    tasks = [task(tmp_path, 'bad', '1 / 0'), task(tmp_path, 'next', 'dict()'),
             task(tmp_path, 'last', 'dict()')]
    with pytest.raises(SystemExit, match='bad failed .*train.log. Finished runs are kept') as end:
        list(training.run_tasks(tasks, 1))
    assert str(end.value).endswith('after mending it.')
    # The worker takes what is queued at once, so a run that was cancelled too late would show.
    time.sleep(1)
    assert [path.name for path in tmp_path.iterdir()] == ['bad']


def test_each_device_has_its_process(tmp_path):
    # Each waits for the other's file: both must be running, on different devices.
    code = ("(__import__('os').mkdir({!r}), [__import__('time').sleep(.05) for _ in range(1200) "
            "if not __import__('os').path.exists({!r})], "
            "dict(device=__import__('os').environ['CUDA_VISIBLE_DEVICES']))[-1]")
    a, b = str(tmp_path / 'a-runs'), str(tmp_path / 'b-runs')
    tasks = [task(tmp_path, 'a', code.format(a, b)), task(tmp_path, 'b', code.format(b, a))]
    done = [result['device'] for _, result in training.run_tasks(tasks, 1, ['0', '1'])]
    assert sorted(done) == ['0', '1']


def test_an_interrupted_consumer_ends_what_runs(tmp_path):
    tasks = [task(tmp_path, 'one', 'dict()'), task(tmp_path, 'two', "__import__('time').sleep(99)")]
    others = multiprocessing.active_children()
    started = training.run_tasks(tasks, 2)
    next(started)
    mine = [child for child in multiprocessing.active_children() if child not in others]
    assert len(mine) == 2
    started.close()
    deadline = time.time() + 20
    while any(map(alive, mine)) and time.time() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, mine))


def alive(process):
    # A thread of the pool may have waited for it first; then its exit code stays unknown.
    if process.exitcode is not None:
        return False
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize('text, there, resumes', [
    ('/gone/epoch_2.pth', True, True), ('/gone/epoch_2.pth', False, False), ('', False, False),
    (None, True, False)])
def test_a_run_resumes_from_a_checkpoint_that_is_there(tmp_path, text, there, resumes):
    if text is not None:
        (tmp_path / 'last_checkpoint').write_text(text)
    if there:
        (tmp_path / 'epoch_2.pth').touch()
    assert training._can_resume(tmp_path) == resumes


def test_a_kill_between_a_checkpoint_and_its_name_is_mended(tmp_path):
    for number in (9, 10):
        (tmp_path / f'epoch_{number}.pth').touch()
        os.utime(tmp_path / f'epoch_{number}.pth', (number, number))
    (tmp_path / 'last_checkpoint').touch()
    assert training._can_resume(tmp_path)
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_10.pth')

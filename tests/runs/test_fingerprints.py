"""What a number depends on; that of whole runs is tested with their folders in test_runs.py."""
import copy
import os

from mmengine.config import Config

from mmips.runs import fingerprints


def test_results_are_found_again_by_all_they_depend_on(npz, tmp_path, monkeypatch):
    cfg = Config(dict(
        model=dict(type='X'), data_preprocessor=dict(mean=[1]),
        test_dataloader=dict(batch_size=2, dataset=dict(type='Y', ann_file=str(npz))),
        val_dataloader=dict(dataset=dict(type='Z'))))
    monkeypatch.chdir(tmp_path)
    checkpoint = tmp_path / 'epoch.pth'
    checkpoint.write_text('weights')
    keys = []

    def key(split='test', path='epoch.pth', eps=1, **changes):
        changed = copy.deepcopy(cfg)
        changed.merge_from_dict({name.replace('__', '.'): value for name, value in changes.items()})
        keys.append(fingerprints.result_key(changed, split, path, eps=eps))
        return keys[-1]

    first = key()
    assert key(path=str(checkpoint)) == key(test_dataloader__batch_size=3) == first
    keys[1:] = []
    for change in (dict(model__type='W'), dict(data_preprocessor__mean=[2]), dict(eps=2),
                   dict(test_dataloader__dataset__type='W'), dict(split='val'),
                   dict(path='s3://epoch.pth')):
        key(**change)
    os.utime(checkpoint, (1, 1))
    key()
    os.utime(npz, (1, 1))
    key()
    (tmp_path / 'copy.pth').write_text('weights')
    key(path='copy.pth')
    monkeypatch.setattr('mmips.version.__version__', 'x')
    key()
    assert len(set(keys)) == len(keys) == 11


def test_what_is_not_there_and_what_is_asked_beside(tmp_path):
    gone, there = str(tmp_path / 'gone'), tmp_path / 'there'
    there.write_text('x')
    mark = fingerprints.fingerprint(Config(dict(a=1)), [gone, there], metric='top1')
    assert mark[gone] is None and mark[str(there)][0] == 1 and mark['metric'] == 'top1'
    there.unlink()
    later = fingerprints.fingerprint(Config(dict(a=2)), [gone, there], metric='top5')
    assert fingerprints.differing(mark, later) == ['config', 'metric', str(there)]
    # Older ones have no metric.
    mark.pop('metric')
    assert fingerprints.differing(mark, later) == ['config', str(there)]


def test_all_files_of_a_folder_count(tmp_path):
    root, other = tmp_path / 'data', tmp_path / 'other'
    for path in (root / 'val/a/0.png', root / 'val/b/0.png', other / '0.png'):
        path.parent.mkdir(parents=True)
        path.write_text('x')
    (root / 'val/c').symlink_to(other)
    (root / 'val/a/circle').symlink_to(root)
    marks = []

    def look():
        marks.append(fingerprints.fingerprint(Config({}), [root])[str(root)])

    for change in (lambda: None, lambda: os.utime(root / 'val/a/0.png', (1, 1)),
                   (root / 'val/b/1.png').touch, (other / '1.png').touch,
                   lambda: (root / 'val/b').rename(root / 'val/d'), (root / 'val/a/0.png').unlink):
        change()
        look()
    (root / '.hidden').touch()
    look()
    assert marks[-1] == marks.pop()
    assert len({repr(mark) for mark in marks}) == 6

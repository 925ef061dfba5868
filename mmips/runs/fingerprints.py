# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What a number depends on: whether it still stands, or has to be computed again."""
import hashlib
import json
import os
import os.path as osp
from collections.abc import Mapping, Sequence
from typing import Any

from mmips.config import sources


def fingerprint(cfg: Any, files: Sequence[str | os.PathLike] = (),
                states: dict[str, list | None] | None = None, **settings: str) -> dict:
    """What a run's numbers depend on, its seed aside; files are known by path, size and time.

    Of a folder those of all files below it are; ``states`` are those that are known already.

    The version of mmips is no part of it: numbers of another version are not wrong for that.
    """
    # Here, since it brings torch, for which a tool's --help shall not wait.
    from mmips.datasets import folders
    # As JSON: pretty_text takes a second a config.
    text = json.dumps(cfg.to_dict(), sort_keys=True, default=repr)
    states = {} if states is None else states
    paths = list(map(osp.abspath, files))
    states.update({path: folders.state(path) for path in paths if path not in states})
    return {'config': hashlib.sha256(text.encode()).hexdigest(), **settings,
            **{path: states[path] for path in paths}}


def differing(old: Mapping, new: Mapping) -> list[str]:
    """The parts by which two fingerprints differ; but for the config, of those that both have."""
    return [key for key in {**new, **old} if old.get(key) != new.get(key)
            and (key == 'config' or key in old and key in new)]


def result_key(cfg: Any, split: str, checkpoint: str,
               states: dict[str, list | None] | None = None, **settings: Any) -> str:
    """A checksum of all that a checkpoint's number on a split depends on, to find it again by.

    That is the version of mmips, the checkpoint and the files of the data, the model, the data
    set, the data preprocessor and ``settings``; nothing, as the batch size, by which no number
    changes. Take it before a model is built from the config, which fills in settings.
    """
    from mmengine.config import Config

    from mmips.version import __version__
    dataset = cfg[f'{split}_dataloader'].dataset
    parts = Config(dict(model=cfg.model, data_preprocessor=cfg.get('data_preprocessor'),
                        dataset=dataset))
    files = sources.present_paths(dataset)
    if sources.is_local(checkpoint):
        checkpoint = osp.abspath(osp.expanduser(checkpoint))
        files.append(checkpoint)
    text = json.dumps([__version__, checkpoint, fingerprint(parts, files, states), settings],
                      sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()

# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What a number depends on: whether it still stands, or has to be computed again."""
import hashlib
import json
import os
import os.path as osp
from collections.abc import Sequence
from typing import Any

from mmips.config import sources

__all__ = ['fingerprint', 'result_key']


def fingerprint(cfg: Any, files: Sequence[str | os.PathLike] = ()) -> dict:
    """What a run's numbers depend on, its seed aside.

    Args:
        cfg (Config): The merged config.
        files (Sequence[str]): Files it reads, known by path, size and time. Defaults to ().

    Returns:
        dict: Of strings and numbers, to compare with that of another start.
    """
    # As JSON: pretty_text takes a second a config.
    text = json.dumps(cfg.to_dict(), sort_keys=True, default=repr)
    mark: dict = {'config': hashlib.sha256(text.encode()).hexdigest()}
    for file in files:
        stat = os.stat(file)
        mark[os.path.abspath(file)] = [stat.st_size, stat.st_mtime_ns]
    return mark


def result_key(cfg: Any, split: str, checkpoint: str, **settings: Any) -> str:
    """A checksum of all that a checkpoint's number depends on, to find it again by.

    That is the version of mmips, the checkpoint and the files of the data (by path, size and
    time), the model, the data set and the data preprocessor. Not the batch size, nor anything
    else by which no number changes.

    Args:
        cfg (Config): The whole config. Take it before a model is built from it, which fills
            in settings.
        split (str): 'test', 'val' or 'train'.
        checkpoint (str): Its path.
        **settings: What else the number depends on, as JSON knows it.
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
    content = [__version__, checkpoint, fingerprint(parts, files), settings]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

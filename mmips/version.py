# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The one place that holds versions: ours, and those of the stack that mmips was tried with.

``setup.py`` runs this file alone, before anything is installed: it imports nothing.
"""

__version__ = '0.1.0'

#: Import name -> what to install of the maintained line (the tests run on it), what of upstream
#: (the oldest that was tried), and the first version beyond the tried ones.
STACK = {
    'torch': dict(maintained='torch==2.10.0', upstream='torch==2.1.2', below='2.12'),
    'torchvision': dict(
        maintained='torchvision==0.25.0', upstream='torchvision==0.16.2', below='0.27'),
    'mmengine': dict(
        maintained='onedl-mmengine==0.10.12', upstream='mmengine==0.10.7', below='0.11'),
    # PyPI has mmcv 2.1.0 as source only, which setuptools >= 82 cannot build (no pkg_resources);
    # mmcv-lite is a wheel of the same files, without compiled ops.
    'mmcv': dict(maintained='onedl-mmcv==2.3.6', upstream='mmcv-lite==2.1.0', below='2.4'),
    'mmpretrain': dict(
        maintained='onedl-mmpretrain==1.3.6', upstream='mmpretrain==1.2.0', below='1.4'),
    'mmseg': dict(
        maintained='onedl-mmsegmentation==1.4.2', upstream='mmsegmentation==1.2.2', below='1.5'),
    'mmdet': dict(maintained='onedl-mmdetection==3.5.1', upstream='mmdet==3.3.0', below='3.6'),
}

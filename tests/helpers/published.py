"""Tiny data sets in each format that the configs name, below ``data/`` of a folder."""
import cv2
import mat4py
import numpy as np
from helpers.two_steps import write_npz


def write_images(folder, files):
    image = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), image)


def write_imagenet(root):
    # mmpretrain wants all thousand folders; images in two of them will do.
    for split in ('train', 'val'):
        for label in range(1000):
            (root / split / f'n{label:08d}').mkdir(parents=True)
        write_images(root / split, [f'n{i % 2:08d}/{i}.JPEG' for i in range(4)])


def write_cub(root):
    files = [f'{i % 2 + 1:03d}.Bird/{i}.jpg' for i in range(8)]
    write_images(root / 'images', files)
    for file, column in dict(images=files, image_class_labels=[1, 2] * 4,
                             train_test_split=[1] * 4 + [0] * 4).items():
        (root / f'{file}.txt').write_text(
            ''.join(f'{i} {value}\n' for i, value in enumerate(column, 1)))


def write_dogs(root):
    for split in ('train', 'test'):
        files = [f'n0{i % 2}-Dog_{i % 2}/{split}{i}.jpg' for i in range(4)]
        write_images(root / 'Images', files)
        mat4py.savemat(str(root / f'{split}_list.mat'), dict(file_list=files, labels=[1, 2] * 2))


def write_all(root):
    """Four training images in each."""
    data = root / 'data'
    write_imagenet(data / 'imagenet')
    write_cub(data / 'CUB_200_2011')
    write_dogs(data / 'stanford_dogs')
    write_images(data / 'custom', [f'{split}/{name}/{i}.png' for split in ('train', 'val')
                                   for name in 'ab' for i in range(2)])
    write_npz(data / 'cifar100.npz')
    return root

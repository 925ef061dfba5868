# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import io
from collections.abc import Sequence

import torch
from mmengine.fileio import get, get_file_backend
from PIL import ExifTags, Image

from mmips.errors import UserError
from mmips.registry import DATASETS
from mmips.structures.batch_samples import BatchSamples
from mmips.structures.encoded_batch import EncodedBatch

from .files import LOOK, fault, printable, reason
from .named_samples import leaves
from .whole_batch_dataset import WholeBatchDataset


@DATASETS.register_module()
class EncodedImages(WholeBatchDataset):
    """The image files of another data set, read as they are, a whole batch at once.

    For sets of large images: workers read, and ``mmips.DecodeDataPreprocessor`` decodes, crops
    and flips on the device. The files come through mmengine's file backends; one with a method
    ``get_batch(paths)`` is asked once for a batch. An epoch, and a resumed one, is as without it.

    Args:
        dataset (dict): Config of a data set of image files without a pipeline, such as
            mmpretrain's ``ImageNet``, ``CustomDataset`` and ``CUB``, or ``mmips.ImageFolder``.
        backend_args (dict, optional): As in ``LoadImageFromFile``. Default: None, those of the
            data set if it has any, or else what the paths say.

    Raises:
        UserError: For a pipeline, for a data set with its images in memory, and, when a batch is
            read, for a file that cannot be read.

    Example:
        >>> train_dataloader = dict(
        ...     collate_fn=dict(type='mmips.whole_batch'),
        ...     dataset=dict(_delete_=True, type='mmips.EncodedImages', dataset=dict(
        ...         type='ImageNet', data_root='data/imagenet', split='train')))
        >>> data_preprocessor = dict(type='mmips.DecodeDataPreprocessor')
    """

    def __init__(self, dataset: dict, backend_args: dict | None = None) -> None:
        super().__init__(dataset)
        if not isinstance(self.dataset.get_data_info(0).get('img_path'), str):
            raise UserError(f'{type(self.dataset).__name__} holds its images in memory, but '
                            'mmips.EncodedImages reads image files: use mmips.ImagesOnDevice.')
        given = [getattr(part, 'backend_args', None) for part in leaves(self.dataset)]
        self.backend_args = backend_args or next(filter(None, given), None)

    def __getitem__(self, index: int) -> dict:
        batch = self.__getitems__([index])
        return dict(inputs=batch['inputs'].data, data_samples=batch['data_samples'][0])

    def __getitems__(self, indices: Sequence[int]) -> dict:
        """The batch of these images, an ``EncodedBatch`` and its ``BatchSamples``."""
        paths = [self.dataset.get_data_info(index)['img_path'] for index in indices]
        files = self._read(paths)
        for path, file in zip(paths, files):
            if not file:
                raise UserError(f'{printable(path)} is empty: put it right or leave it out '
                                f'({LOOK}).')
        labels = torch.from_numpy(self._labels[list(indices)])
        return dict(inputs=EncodedBatch.join(files, list(map(is_plain, files))),
                    data_samples=BatchSamples(labels, list(indices), img_path=paths))

    def _read(self, paths: list[str]) -> list[bytes]:
        backend = get_file_backend(paths[0], backend_args=self.backend_args, enable_singleton=True)
        if hasattr(backend, 'get_batch'):
            return backend.get_batch(paths)
        files = []
        for path in paths:
            try:
                files.append(get(path, self.backend_args))
            except UserError:
                raise
            except Exception as error:  # whatever a backend may meet
                raise UserError(
                    f'{printable(path)} {fault(path) or f"cannot be read ({reason(error)})"}: put '
                    f'it right or leave it out ({LOOK}).') from error
        return files


def is_plain(file: bytes) -> bool:
    """Whether a file is an upright JPEG of one or three channels, by its header."""
    try:
        with Image.open(io.BytesIO(file), formats=['JPEG']) as image:
            upright = image.getexif().get(ExifTags.Base.Orientation, 1) == 1
            return upright and image.mode in ('L', 'RGB')
    except Exception:  # Pillow fails in many ways; whether it is an image is the decoder's matter
        return False

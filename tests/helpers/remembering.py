"""What a memory remembers after each of three epochs, with one process and with two."""
from types import SimpleNamespace

import torch
from helpers.two_processes import in_two_processes
from mmengine.dist import get_rank, get_world_size
from torch import nn

from mmips.datasets.whole_batch_dataset import WholeBatchDataset
from mmips.engine.hooks import MemoryHook
from mmips.structures import Step

EPOCHS, IMAGES, CLASSES = 3, 16, 4
LABELS = torch.arange(IMAGES) % CLASSES
#: What a network that learns nothing says in each epoch of each image.
LOGITS = 2 * torch.randn(EPOCHS, IMAGES, CLASSES, generator=torch.Generator().manual_seed(3))
#: Images of the last class are never predicted right, others of them at times.
LOGITS[:, LABELS == CLASSES - 1, -1] -= 20


class Numbered(WholeBatchDataset):
    """So many images, numbered."""

    def __init__(self):
        self._labels = range(IMAGES)


def step_of(epoch, images, logits=LOGITS):
    """The step in which these images are seen."""
    return Step(logits[epoch, images], LABELS[images], sample_idx=images, epoch=epoch,
                max_epochs=EPOCHS)


def order(epoch):
    """In which order an epoch sees the images."""
    return torch.randperm(IMAGES, generator=torch.Generator().manual_seed(epoch))


def remember(_folder, memory):
    """Show a memory this process's share; its buffers after each epoch, and its outputs."""
    model = nn.Module()
    model.weight, model.memory = nn.Parameter(torch.zeros(1)), memory
    model.head = SimpleNamespace(num_classes=CLASSES)
    hook = MemoryHook()
    runner = SimpleNamespace(
        model=model, hooks=[hook], logger=SimpleNamespace(info=str),
        train_dataloader=SimpleNamespace(
            dataset=Numbered(), batch_sampler=SimpleNamespace(batch_size=4)))
    hook.before_run(runner)
    hook.before_train(runner)
    found = []
    for epoch in range(EPOCHS):
        outputs = {}
        for images in order(epoch)[get_rank()::get_world_size()].split(4):
            step = step_of(epoch, images)
            outputs[tuple(images.tolist())] = memory(step)
            model.last_step = step.detach()
            hook.after_train_iter(runner)
        hook.after_train_epoch(runner)
        found.append(({name: buffer.clone() for name, buffer in memory.remembered().items()},
                      outputs))
    return found


def of_each_rank(ranks, folder, memory):
    """The same of every process of one or two."""
    return [remember(folder, memory)] if ranks == 1 else in_two_processes(remember, folder, memory)

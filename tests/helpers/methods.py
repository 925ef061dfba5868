"""Every method as a row: a config of the tiny npz set, and options that make the method of it."""
import torch

from mmips.models.memory import Memory
from mmips.registry import MODELS

IPS, HARD = 'ips/resnet-s_ips_npz.py', 'ips/resnet-s_hard_npz.py'


@MODELS.register_module()
class ClassMeans(Memory):
    """A target that remembers: the mean prediction of every class, and which images it saw."""

    def __init__(self, num_classes, num_images):
        super().__init__()
        self.register_buffer('sums', torch.eye(num_classes), persistent=False)
        self.register_buffer('seen', torch.zeros(num_images, dtype=torch.int64), persistent=False)

    def update(self, step):
        self.sums.index_add_(0, labels_of(step), step.logits.softmax(1))
        self.seen.index_add_(0, step.sample_idx, torch.ones_like(step.sample_idx))

    def forward(self, step):
        return (self.sums / self.sums.sum(1, keepdim=True))[labels_of(step)]


def labels_of(step):
    return step.target if step.target.ndim == 1 else step.target.argmax(1)


#: Name of a method -> config and options. A new method is one more row.
METHODS = {
    'hard label': (HARD, {}),
    'label smoothing': (HARD, {'model.head.loss': dict(
        _delete_=True, type='LabelSmoothLoss', label_smooth_val=0.1)}),
    'IPS': (IPS, {}),
    'IPS, progressive': ('ips/resnet-s_ips-prog_npz.py', {}),
    '+Swap': (IPS, {'model.alpha': 0.0, 'model.ce_on': 'query'}),
    'no swap': (IPS, {'model.train_cfg.augments.0.prob': 0.0}),
    'hard label, whole batches': ('ips/resnet-s_hard_npz-device.py', {}),
    'IPS, whole batches': ('ips/resnet-s_ips_npz-device.py', {}),
    'a target that remembers': (IPS, {
        'model.target': dict(type='mmips.ClassMeans', num_classes=4, num_images=24),
        'custom_hooks': [dict(type='mmips.EpochSeedHook'), dict(type='mmips.MemoryHook')]}),
}

"""Every method as a row: a config of the tiny npz set, and options that make the method of it."""
import torch

from mmips.models.memory import Memory
from mmips.registry import MODELS

IPS, HARD = 'ips/resnet-s_ips_npz.py', 'ips/resnet-s_hard_npz.py'
#: What a network of four stages needs beside the tiny runner's options.
FOUR = {'model.head.in_channels': 32}


@MODELS.register_module()
class ClassMeans(Memory):
    """A target that remembers: the mean prediction of every class, and which images it saw."""

    def plan(self, num_images, num_classes, batch_size):
        return dict(sums=torch.empty(num_classes, num_classes, device='meta'),
                    seen=torch.empty(num_images, dtype=torch.int64, device='meta'))

    def update(self, step):
        self.sums.index_add_(0, step.labels, step.logits.softmax(1))
        self.seen.index_add_(0, step.sample_idx, torch.ones_like(step.sample_idx))

    def forward(self, step):
        sums = self.sums + torch.eye(len(self.sums))
        return (sums / sums.sum(1, keepdim=True))[step.labels]


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
        'model.target': dict(type='mmips.ClassMeans'),
        'custom_hooks': [dict(type='mmips.EpochSeedHook'), dict(type='mmips.MemoryHook')]}),
    'label smoothing over the others': ('baselines/ls/resnet18-s_ls_npz.py', FOUR),
    'DisturbLabel': ('baselines/disturb/resnet18-s_disturb_npz.py', FOUR),
    'TF-KD': ('baselines/tfkd/resnet18-s_tfkd_npz.py', FOUR),
    'CS-KD': ('baselines/cs-kd/resnet18-s_cs-kd_npz.py', FOUR),
    'R-Drop': ('baselines/r-drop/resnet18-s_r-drop_npz.py', FOUR),
    'DDGSD': ('baselines/ddgsd/resnet18-s_ddgsd_npz.py', FOUR),
    'OLS': ('baselines/ols/resnet18-s_ols_npz.py', FOUR),
    'PS-KD': ('baselines/pskd/resnet18-s_pskd_npz.py', FOUR),
    'DLB': ('baselines/dlb/resnet18-s_dlb_npz.py', {
        **FOUR, 'train_dataloader.batch_size': 16,
        'train_dataloader.sampler.batch_size': 16}),
    'KD': ('baselines/kd/resnet18-s_kd_npz.py', FOUR),
    'AT': ('baselines/at/resnet18-s_at_npz.py', FOUR),
    'SP': ('baselines/sp/resnet18-s_sp_npz.py', FOUR),
    'RKD': ('baselines/rkd/resnet18-s_rkd_npz.py', FOUR),
    'CRD': ('baselines/crd/resnet18-s_crd_npz.py', {**FOUR, 'model.distill.in_channels': 32}),
    'MaxSup': ('baselines/maxsup/resnet18-s_maxsup_npz.py', FOUR),
    'Zipf': ('baselines/zipf/resnet18-s_zipf_npz.py', FOUR),
    'FER': ('baselines/fer/resnet18-s_fer_npz.py', FOUR),
    'USKD': ('baselines/uskd/resnet18-s_uskd_npz.py', {**FOUR, 'model.distill.in_channels': 16}),
    'MixSKD': ('baselines/mixskd/resnet18-s_mixskd_npz.py', FOUR),
    'BYOT': ('baselines/byot/resnet18-s_byot_npz.py', FOUR),
    'BAKE': ('baselines/bake/resnet18-s_bake_npz.py', {
        **FOUR, 'train_dataloader.batch_size': 32}),
    'DRG and DSR': ('baselines/drg-dsr/resnet18-s_drg-dsr_npz.py', {
        **FOUR, 'model.distill.in_channels': 8}),
}

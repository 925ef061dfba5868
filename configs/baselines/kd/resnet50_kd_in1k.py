"""KD, ResNet-152 teaches ResNet-50 on ImageNet.

The teacher is mmpretrain's (78.48 % top-1; the paper's has 77.49 %) and is downloaded.

Paper: none; Table 2's cell of KD is lost from the text.
Command: tools/dist_train.sh configs/baselines/kd/resnet50_kd_in1k.py 8
Cost: 100 epochs x 1,281,167 images, 8 GPUs x 32 images = 256 a step; each goes through the teacher
too, without gradient.
Differs from the paper: the weights of 0.5 and 0.5 and T = 1 are mdistiller's, which trains with
512 images a step and lr 0.2; the schedule here is the paper's, as of all methods.
"""
_base_ = '../../ips/resnet50_hard_in1k.py'

model = dict(
    type='mmips.TeacherDistillClassifier',
    gamma=0.5,
    alpha=0.5,
    distill=dict(type='mmips.KDLoss', temperature=1),
    teacher=dict(
        config='mmpretrain::resnet/resnet152_8xb32_in1k.py',
        checkpoint='https://mmassets.onedl.ai/mmclassification/v0/resnet/'
                   'resnet152_8xb32_in1k_20210901-4d7582fa.pth'))

# A ResNet-18 of a quarter of the usual width (0.7 M parameters) for images of 32 pixels: four
# stages, as all methods need them; the first halves the image, which a CPU trains four times as
# fast.
_base_ = 'resnet18-w16.py'

model = dict(backbone=dict(type='ResNet_CIFAR', strides=(2, 2, 2, 2)))

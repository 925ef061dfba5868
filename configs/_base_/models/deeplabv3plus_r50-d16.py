# mmseg's DeepLabV3+ on a plain ResNet-50 from a classification checkpoint, as the paper's recipe
# has it.
_base_ = 'deeplabv3plus_r50-d8.py'

model = dict(
    # Output stride 16, and the rates that go with it: the defaults of the public
    # implementation whose other settings the paper names (inferred).
    backbone=dict(dilations=(1, 1, 1, 2), strides=(1, 2, 2, 1)),
    decode_head=dict(dilations=(1, 6, 12, 18)),
    # None in that implementation (inferred).
    auxiliary_head=None)

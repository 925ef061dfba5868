# The checkpoint that MMIPS_CKPT names, or None, and below which prefix it holds the backbone: by
# default CheckPretrained finds that, and MMIPS_CKPT_PREFIX=none stands for a bare backbone.
import os

checkpoint = os.environ.get('MMIPS_CKPT') or None
prefix = os.environ.get('MMIPS_CKPT_PREFIX') or 'auto'
if prefix == 'none':
    prefix = None

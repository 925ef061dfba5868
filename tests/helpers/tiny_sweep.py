"""A sweep of seconds, for tests."""
from mmips.runs.sweep_file import read_sweep

TINY = """
options: {train_cfg.max_epochs: 2, model.backbone.base_channels: 4, model.backbone.stem_channels: 4,
          model.head.in_channels: 16, default_hooks.checkpoint.interval: 1}
config: ips/resnet-s_hard_npz.py
seeds: [0, 1]
evaluate: [test, train]
axes:
  lr: {key: optim_wrapper.optimizer.lr, values: [0.1, 0.2]}
recipes:
  IPS: {config: ips/resnet-s_ips_npz.py}
"""


def read_tiny(folder, **changes):
    (folder / 'tiny.yml').write_text(TINY)
    return read_sweep(folder / 'tiny.yml').but(**changes)


def with_options(recipe, **options):
    return recipe.but(options={**recipe.options, **options})

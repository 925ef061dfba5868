# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import re
from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner

from mmips.engine.hooks.monitor import bare_model, whole_weights
from mmips.errors import UserError
from mmips.registry import HOOKS
from mmips.structures.state_dicts import load_checked


@HOOKS.register_module()
class CheckLoaded(Hook):
    """Refuse to go on unless the whole model came from ``load_from`` or the checkpoint to test.

    mmengine loads without strictness: a file of another network, of other classes or with no
    weights at all leaves the model, or parts of it, as it was drawn. ``tools/train.py`` and
    ``test.py`` use this hook unasked; name it in ``custom_hooks`` for its argument.

    Args:
        allow (Sequence[str]): Tensors that need not come from the file, by their names in the
            model; ``*`` stands for anything: ``('head.*', )`` for new classes. Defaults to ().

    Raises:
        UserError: When the checkpoint is loaded, if a tensor is missing, too many (in a part
            that the model has) or of another shape.
    """

    # After EMAHook has put the weights that it means into the checkpoint.
    priority = 'LOWEST'

    def __init__(self, allow: Sequence[str] = ()) -> None:
        if isinstance(allow, str):
            raise ValueError(f'allow must be a list of names, got {allow!r}: write [{allow!r}].')
        self.allow = tuple(allow)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Load it strictly, as mmengine is about to do without."""
        state: Any = checkpoint.get('state_dict', checkpoint)
        state = {re.sub(r'^module\.', '', key): value for key, value in state.items()}
        name, allow = str(runner._load_from), () if runner._resume else self.allow
        model = bare_model(runner)
        try:
            with whole_weights(runner):
                new = load_checked(model, state, name, allow)
        except UserError as error:
            raise UserError(f'{error}\n{_advice(runner, model, state)}') from error
        if new:
            runner.logger.info(f'CheckLoaded: {len(new)} tensors are allowed not to come from '
                               f'{name}, the first is {new[0]}.')


def _advice(runner: Runner, model: Any, state: dict) -> str:
    if runner._resume:
        return 'Resume with the config of the run that saved it, or start anew in another folder.'
    own = {key.partition('.')[0] for key in model.state_dict()}
    if 'backbone' in own and 'backbone.' in ''.join(list(state)[:1]) and own - {
            key.partition('.')[0] for key in state}:
        return ("If its backbone alone is meant: model.backbone.init_cfg=dict(type='Pretrained', "
                "checkpoint=..., prefix='backbone.') instead of load_from.")
    if not isinstance(getattr(runner, '_train_loop', None), BaseLoop):
        return 'Give the config that it was trained by.'
    return ("If new parts are meant to start anew, name them: custom_hooks=[dict(type="
            "'mmips.CheckLoaded', allow=['head.*'])].")

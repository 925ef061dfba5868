# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Parts of a config that do not fit each other show in the first step, or the first validation."""
import contextlib
import traceback
from collections.abc import Iterator
from typing import Any

from mmengine.evaluator import BaseMetric
from mmengine.runner import BaseLoop

from mmips.engine.hooks.monitor import bare_model
from mmips.errors import UserError, error_text


@contextlib.contextmanager
def explained_first_steps(runner: Any) -> Iterator[None]:
    """Make what fails the first time it is done a UserError that names the part of the config.

    What fails later, when the config has proved to work, keeps its traceback, and so does what the
    system refuses.
    """
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:
        loop, where = _place(runner, error)
        training = loop is getattr(runner, '_train_loop', None)
        scores = [key for key in runner.message_hub.log_scalars
                  if key.startswith('val/') and not key.endswith('time')]
        if runner.iter if training else scores:
            raise
        said = error_text(error).splitlines() or ['']
        what = 'training step' if training else 'validation or test'
        if '/gloo/' in said[0] or type(error).__name__.startswith('Dist'):  # NCCL's are DistErrors.
            raise UserError(f'The connection to another process was lost in the first {what}: what '
                            f'ended that one is the cause. ({said[0]})') from error
        raise UserError(f'The first {what} fails{where}: {type(error).__name__}: {said[0]} '
                        'Correct what does not fit there in the config.') from error


def _place(runner: Any, error: BaseException) -> tuple[Any, str]:
    """The loop in which an error was raised, and in what part of the config."""
    modules = {id(module): name for name, module in bare_model(runner).named_modules()}
    loop, where = None, ''
    for frame, _ in traceback.walk_tb(error.__traceback__):
        owner = frame.f_locals.get('self')
        if isinstance(owner, BaseLoop):
            loop = owner
        elif id(owner) in modules:
            name = f'model.{modules[id(owner)]}'.rstrip('.')
            where = f' in {name} ({type(owner).__name__})'
        elif isinstance(owner, BaseMetric):
            where = f' in an evaluator ({type(owner).__name__})'
    return loop, where

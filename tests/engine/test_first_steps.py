"""What does not fit shows in the first step and names its part; what fails later is a bug."""
import pytest
import torch
from mmengine.hooks import Hook

from mmips.engine.first_steps import explained_first_steps
from mmips.errors import UserError


class Fail(Hook):
    """Fails somewhere in a run."""

    def __init__(self, when, left=2, error=None):
        setattr(self, when, self.fail)
        self.left, self.error = left, error or ZeroDivisionError('later')

    def fail(self, *args, **kwargs):
        self.left -= 1
        if not self.left:
            raise self.error


def run(runner):
    with explained_first_steps(runner):
        runner.train()


@pytest.mark.parametrize('options, words', [
    ({'model.head.in_channels': 17},
     r'first training step fails in model.head.fc \(Linear\): RuntimeError: mat1 and mat2 shapes'),
    ({'data_preprocessor.mean': [1., 2.]}, r'in model.data_preprocessor \(ClsDataPreprocessor\)'),
    ({'val_evaluator.topk': (9, )},
     r'first validation or test fails in an evaluator \(Accuracy\): ValueError: Top-9')])
def test_parts_that_do_not_fit_are_named(make_runner, options, words):
    with pytest.raises(UserError, match=f'The.* {words}.*Correct what does not fit there'):
        run(make_runner(**options))


@pytest.mark.parametrize('when', ['after_train_iter', 'after_val_iter'])
def test_what_fails_later_keeps_its_traceback(make_runner, when):
    runner = make_runner()
    runner.register_hook(Fail(when))
    with pytest.raises(ZeroDivisionError):
        run(runner)


@pytest.mark.parametrize('error', [
    RuntimeError('[/pytorch/third_party/gloo/pair.cc:547] Connection closed by peer [127.0.0.1]'),
    torch.distributed.DistBackendError('NCCL error: remote process exited')])
def test_the_end_of_another_process_is_not_the_configs_fault(make_runner, error):
    runner = make_runner()
    runner.register_hook(Fail('before_train_iter', 1, error))
    with pytest.raises(UserError, match=r'connection to another process was lost.*\(.*'):
        run(runner)

"""Steps with a teacher's beside them, and losses compared with slow ones in value and gradient."""
import torch

from mmips.structures import Step


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def taught(ours, theirs, **fields):
    """A Step of ``ours`` (logits, features or maps by name), whose teacher has ``theirs``."""
    return Step(**{'logits': random(4, 3), 'target': torch.arange(4) % 3, **fields, **ours},
                teacher=Step(**{'logits': random(4, 3), 'target': torch.arange(4), **theirs}))


def check(loss, slow, ours, theirs):
    """``loss(ours, theirs)``, each a tensor, is ``slow``'s, and so is the gradient of ours."""
    found = []
    for function in (loss, slow):
        leaf, constant = ours.clone().requires_grad_(), theirs.clone().requires_grad_()
        value = function(leaf, constant)
        found.append((value.detach(), torch.autograd.grad(value, leaf, retain_graph=True)[0]))
        if function is loss:
            with_teacher = torch.autograd.grad(value, constant, allow_unused=True)[0]
    assert found[0][0] > 1e-3 and found[0][1].abs().max() > 1e-6
    for one, other in zip(*found):
        assert torch.allclose(one, other, rtol=1e-6, atol=1e-12), (one, other)
    assert with_teacher is None or not with_teacher.any(), 'the teacher learns'

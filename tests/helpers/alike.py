"""Two ways to one loss: equal in value and in gradients."""
import torch


def check_loss(ours, reference, *leaves, tolerance=1e-6):
    """``ours(*leaves)`` and ``reference(*leaves)``, scalars, agree; returns the value."""
    results = []
    for function in (ours, reference):
        own = [leaf.detach().clone().requires_grad_() for leaf in leaves]
        loss = function(*own)
        results.append((loss, *torch.autograd.grad(loss, own, materialize_grads=True)))
    for mine, expected in zip(*results):
        torch.testing.assert_close(mine, expected, rtol=0, atol=tolerance)
    assert any(gradient.abs().sum() > 0 for gradient in results[1][1:])
    return results[0][0].item()

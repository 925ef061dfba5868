"""What every test shares."""
import os

# Several test processes share the cores; before torch is imported by anything.
os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('MPLBACKEND', 'Agg')

import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402

# Shared cores make single examples slow without being wrong; CI tries the same examples
# each time, a developer's machine new ones.
settings.register_profile('shared', deadline=None, derandomize='CI' in os.environ)
settings.load_profile('shared')
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded():
    """Start every test from one random state, so that none depends on its neighbours."""
    torch.manual_seed(0)


def pytest_collection_modifyitems(items):
    """Leave out, by name, what this machine cannot run."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker('gpu') is not None:
            item.add_marker(pytest.mark.skip(reason='needs a CUDA device'))

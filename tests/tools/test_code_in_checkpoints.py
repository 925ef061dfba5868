"""Whatever tool is given a checkpoint, and however: code in it does not run."""
import contextlib
import os
import shutil

import pytest
import torch
from helpers.tools import load_tool

CONFIG = 'ips/resnet-s_ips_npz.py'


class Code:

    def __reduce__(self):
        return os.mkdir, (os.path.abspath('ran'), )


TRAIN = ['train.py', CONFIG, '--work-dir', 'w']
EVALUATED = [CONFIG, 'x.pth', '--out', 'out']
WAYS = {
    'load_from': [*TRAIN, '--cfg-options', 'load_from=x.pth'],
    'init_cfg': [*TRAIN, '--cfg-options', 'model.backbone.init_cfg.type=Pretrained',
                 'model.backbone.init_cfg.checkpoint=x.pth'],
    'resume': [*TRAIN, '--resume', 'x.pth'],
    'resume the newest': [*TRAIN, '--resume'],
    'test': ['test.py', CONFIG, 'x.pth'],
    'publish': ['model_converters/publish_backbone.py', 'x.pth', 'out/'],
    'evaluate': ['analysis_tools/eval_safety.py', *EVALUATED],
    'look': ['visualization/predictive_distribution.py', *EVALUATED],
}


@pytest.mark.parametrize('way', WAYS)
def test_code_does_not_run_unless_the_user_vouches_for_it(npz, capsys, monkeypatch, way):
    torch.save(dict(state_dict={'backbone.conv1.weight': torch.ones(1)}, optimizer={},
                    message_hub={}, meta=dict(epoch=1, iter=1, seed=Code())), 'x.pth')
    os.mkdir('w')
    shutil.copy('x.pth', 'w/epoch_1.pth') if way == 'resume the newest' else None
    name, *argv = WAYS[way]
    main = load_tool(name).main
    with pytest.raises(SystemExit) as end:
        main(argv)
    assert end.value.code == 2 and not os.path.exists('ran')
    assert 'holds more than data (posix.mkdir)' in capsys.readouterr().err
    # Undone when the test ends; whatever comes after is refused for other reasons.
    monkeypatch.setenv('MMIPS_TRUST_CHECKPOINT', '0')
    with contextlib.suppress(SystemExit):
        main(['--trust-checkpoint', *argv])
    assert os.path.isdir('ran')

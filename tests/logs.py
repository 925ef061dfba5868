"""Training runs as mmengine leaves them on disk, without a training."""
import json


def write_run(folder, records, config='', time='20260101_000000'):
    """Write a work directory: scalars, one a line (text as it is), and the dumped config."""
    data = folder / time / 'vis_data'
    data.mkdir(parents=True)
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    (data / 'scalars.json').write_text('\n'.join(lines))
    if config:
        (folder / 'x.py').write_text(config)

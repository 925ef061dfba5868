"""Training runs as mmengine leaves them on disk, without a training."""
import json


def write_run(folder, *starts, config=''):
    """Write a work directory: for each start its lines (text as it is), and the dumped config."""
    for number, records in enumerate(starts):
        data = folder / f'2026010{number}_000000' / 'vis_data'
        data.mkdir(parents=True)
        (data / 'scalars.json').write_text('\n'.join(
            record if isinstance(record, str) else json.dumps(record) for record in records))
    if config:
        (folder / 'x.py').write_text(config)
    return str(folder)


def line(iteration, per_epoch=2, **values):
    """A line of an epoch-based training."""
    return {'loss': 2., **values, 'iter': iteration, 'step': iteration,
            'epoch': (iteration - 1) // per_epoch + 1}


def gradients(iteration, scale=1., per_epoch=2):
    """A line that GradientMonitor writes beside them; it counts iterations of the epoch."""
    epoch, place = divmod(iteration - 1, per_epoch)
    return {'grad/backbone.conv1': scale * iteration, 'grad/backbone.layer1': scale,
            'epoch': epoch + 1, 'iter': place + 1, 'step': iteration}


def ips(iteration, scale=1.):
    """What SelfDistillMonitor adds to the losses."""
    return line(iteration, loss_ce=1.5, loss_kd=.5, kd_grad=scale, kd_grad_swapped=.5,
                kd_grad_raw=1.5, conf_gap=.1, conf_gap_swapped=.05, conf_gap_raw=.15,
                swap_rate=.5)

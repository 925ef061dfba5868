"""What holds for the layout of any picture."""
from matplotlib.backends.backend_agg import FigureCanvasAgg


def check_layout(figure, parts=()):
    """Axes, legends and other parts lie within the figure and do not overlap."""
    FigureCanvasAgg(figure).draw()
    shown = [axes for axes in figure.axes if axes.axison or axes.images]
    boxes = [part.get_tightbbox() for part in (*shown, *figure.legends, *parts)]
    for place, box in enumerate(boxes):
        assert -1 <= box.x0 and -1 <= box.y0, place
        assert box.x1 <= figure.bbox.width + 1 and box.y1 <= figure.bbox.height + 1, place
        assert not any(box.padded(-1).overlaps(other) for other in boxes[place + 1:]), place


def texts(parts):
    """What texts say."""
    return [part.get_text() for part in parts]

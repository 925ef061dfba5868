# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The published labels and splits of RUGD; a table that needs no toolbox.

Source: M. Wigness, S. Eum, J. G. Rogers, D. Han and H. Kwon, A RUGD Dataset for Autonomous
Navigation and Visual Perception in Unstructured Outdoor Environments, IROS 2019, and
``RUGD_annotation-colormap.txt``, which comes with its annotations.
"""

#: Name -> colour (red, green, blue) in the published annotations, in the order of the ids 0..24.
COLOURS: dict[str, tuple[int, int, int]] = {
    'void': (0, 0, 0),
    'dirt': (108, 64, 20),
    'sand': (255, 229, 204),
    'grass': (0, 102, 0),
    'tree': (0, 255, 0),
    'pole': (0, 153, 153),
    'water': (0, 128, 255),
    'sky': (0, 0, 255),
    'vehicle': (255, 255, 0),
    'container/generic-object': (255, 0, 127),
    'asphalt': (64, 64, 64),
    'gravel': (255, 128, 0),
    'building': (255, 0, 0),
    'mulch': (153, 76, 0),
    'rock-bed': (102, 102, 0),
    'log': (102, 0, 0),
    'bicycle': (0, 255, 128),
    'person': (204, 153, 255),
    'fence': (102, 0, 204),
    'bush': (255, 153, 204),
    'sign': (0, 102, 102),
    'rock': (153, 204, 255),
    'bridge': (102, 255, 255),
    'concrete': (101, 101, 11),
    'picnic-table': (114, 85, 47),
}
#: The names of the ids 0..24.
LABELS: tuple[str, ...] = tuple(COLOURS)
#: The 24 classes: all but void.
FINE: tuple[str, ...] = LABELS[1:]
#: Coarse class -> what it holds (IPS paper, Table 7; the groups of GA-Nav).
COARSE: dict[str, tuple[str, ...]] = {
    'smooth': ('concrete', 'asphalt'),
    'rough': ('gravel', 'grass', 'dirt', 'sand', 'mulch'),
    'bumpy': ('rock', 'rock-bed'),
    'forbidden': ('water', ),
    'obstacle': ('tree', 'pole', 'vehicle', 'container/generic-object', 'building', 'log',
                 'bicycle', 'person', 'fence', 'bush', 'picnic-table', 'bridge'),
    'background': ('void', 'sky', 'sign'),
}
#: Coarse class -> colour to draw it in; the paper prints none, these are GA-Nav's.
COARSE_COLOURS: dict[str, tuple[int, int, int]] = dict(
    smooth=(0, 128, 0), rough=(255, 255, 0), bumpy=(255, 128, 0), forbidden=(255, 0, 0),
    obstacle=(0, 0, 128), background=(0, 0, 0))
#: The published split, by video.
SPLITS: dict[str, tuple[str, ...]] = {
    'train': ('park-2', 'trail', 'trail-3', 'trail-4', 'trail-6', 'trail-9', 'trail-10',
              'trail-11', 'trail-12', 'trail-14', 'trail-15', 'village'),
    'val': ('park-8', 'trail-5'),
    'test': ('creek', 'park-1', 'trail-7', 'trail-13'),
}

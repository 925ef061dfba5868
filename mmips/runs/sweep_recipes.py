# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What a sweep is: its recipes, its seeds, and where each stands in tables and pictures."""
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    model_validator,
)

from mmips.errors import UserError
from mmips.names import one_line

#: The ``start`` of a recipe that loads nothing.
RANDOM = 'random weights'
#: Axes that need not be declared.
RECIPE, METRIC = 'recipe', 'metric'


def as_text(value: Any) -> str:
    """How a value is written in tables and names."""
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def different(values: Any) -> Any:
    """The values, of which no two may be the same."""
    if len(set(map(str, values))) < len(values):
        raise ValueError('a value stands there twice')
    return values


def writable(text: str) -> str:
    """The text, which tables, pictures and files have to take."""
    if '\ufffd' in one_line(text):
        raise ValueError('a character that cannot be written')
    return text


Listed = BeforeValidator(lambda value: value if isinstance(value, (list, tuple)) else [value])
Names = Annotated[tuple[str, ...], Listed]
Some = Field(min_length=1)
Text = Annotated[str, AfterValidator(writable)]
Label = Annotated[Text, Some]


class Node(BaseModel):
    """A mapping of the file; nothing in the place of a value is its default."""

    model_config = ConfigDict(extra='forbid', frozen=True, coerce_numbers_to_str=True)

    @model_validator(mode='before')
    @classmethod
    def _leave_out_nothing(cls, node: Any) -> Any:
        node = {} if node is None else node
        return {key: value for key, value in node.items() if value is not None
                } if isinstance(node, dict) else node

    def but(self, **changes: Any) -> Any:
        """A copy in which something differs."""
        return self.model_copy(update=changes)


class Change(Node):
    """What makes a recipe."""

    #: Path of its config.
    config: str = ''
    #: What differs from the config, by dotted key.
    options: dict[str, Any] = {}
    #: The recipe whose weights it starts from, or ``RANDOM``; empty: as the config says.
    start: str = ''
    #: The recipe whose weights its teacher has; empty: as the config says.
    teacher: str = ''
    #: What is tabulated of it, where that is not the sweep's metric.
    metric: str = ''
    #: Where it stands on the axes, by the names of its values.
    axes: dict[Label, Annotated[str, BeforeValidator(as_text)]] = {}

    def then(self, other: 'Change') -> 'Change':
        """This one with another's changes on top."""
        return other.but(
            config=other.config or self.config, options={**self.options, **other.options},
            start=other.start or self.start, teacher=other.teacher or self.teacher,
            metric=other.metric or self.metric, axes={**self.axes, **other.axes})


class Recipe(Change):
    """One configuration of a sweep."""

    name: str
    #: Its folder below the sweep's; a safe name for every file system.
    folder: str = ''
    #: The paper's values by metric: alone, or with the spread that it prints.
    paper: dict[str, tuple[float, ...]] = {}

    @property
    def source(self) -> str:
        """The recipe whose weights it needs, ``RANDOM``, or empty."""
        return self.start or self.teacher

    @property
    def source_key(self) -> str:
        """Where in the config the file with those weights is named."""
        return 'model.backbone.init_cfg.checkpoint' if self.start else 'model.teacher.checkpoint'


class Table(Node):
    """The axes of the rows and columns; without any there is a row a recipe.

    Axes that every table has are ``RECIPE`` and, where there are several, ``METRIC``.
    """

    rows: Names = ()
    columns: Names = ()
    #: Where the best is marked: of the 'table', each 'row' or each 'column'.
    best: Literal['table', 'row', 'column'] = 'table'
    #: Whether a table without columns has the images seen and each seed's value.
    seeds: StrictBool = False
    #: The recipe, or the value of an axis, from which differences are told.
    paired: Text = ''
    #: Whether it is told how far the best validation lies from the last.
    best_epoch: StrictBool = False


class Heatmaps(Node):
    """The axes of heat maps."""

    x: str
    y: str
    panels: Names = ()


class Settings(Node):
    """What a sweep file says beside its recipes."""
    title: Text = ''
    seeds: Annotated[tuple[Annotated[StrictInt, Field(ge=0)], ...], Some,
                     AfterValidator(different)] = (0, 1, 2)
    metric: Annotated[str, Some] = 'accuracy/top1'
    lower: StrictBool = False
    #: Metrics that are tabulated beside it, and what is better.
    more: dict[Label, Literal['higher', 'lower']] = {}
    evaluate: Annotated[tuple[Literal['test', 'val', 'train'], ...], Some, Listed,
                        AfterValidator(different)] = ('test', )
    table: Table = Table()
    heatmaps: Heatmaps | None = None
    curves: StrictBool = False


class Sweep(Settings):
    """What a YAML file describes, with its recipes in full."""

    recipes: Annotated[tuple[Recipe, ...], Some]
    #: Names of the values of each axis, in order.
    axes: dict[str, list[str]] = {}

    def metric_of(self, recipe: Recipe) -> str:
        """What is tabulated of a recipe."""
        return recipe.metric or self.metric

    def is_lower(self, metric: str) -> bool:
        """Whether less is better."""
        return self.more[metric] == 'lower' if metric in self.more else self.lower

    def heading(self, metric: str) -> str:
        """A metric with the direction that is better."""
        return f'{metric} {"↓" if self.is_lower(metric) else "↑"}'

    def by_metric(self) -> 'Sweep':
        """A recipe, of a name of its own, for each metric of a recipe, on axes for both."""
        recipes = []
        for recipe in self.recipes:
            for metric in [self.metric_of(recipe), *([] if recipe.metric else self.more)]:
                own = {RECIPE: recipe.name, **recipe.axes}
                if self.more:
                    own[METRIC] = self.heading(metric)
                recipes.append(recipe.but(
                    name=f'{recipe.name}\0{metric}', metric=metric, axes=own))
        axes = {RECIPE: [recipe.name for recipe in self.recipes], **self.axes}
        if self.more:
            axes[METRIC] = list(map(self.heading, (self.metric, *self.more)))
        return self.but(recipes=tuple(recipes), axes=axes)

    def waves(self, recipes: Sequence[Recipe]) -> list[list[Recipe]]:
        """Recipes in groups that need the weights of earlier groups alone."""
        starts = {recipe.name: recipe.source for recipe in self.recipes}
        waves: dict[int, list[Recipe]] = {}
        for recipe in recipes:
            depth, start = 0, recipe.source
            if recipe.start and recipe.teacher:
                raise UserError(f'recipe {recipe.name}: start and teacher cannot both be given.')
            while start not in ('', RANDOM):
                depth += 1
                if start not in starts or depth > len(starts):
                    raise UserError(
                        f'recipe {recipe.name}: start must name another recipe, one that does not '
                        f'start from this one, or {RANDOM!r}, and teacher another recipe, got '
                        f'{recipe.source!r}.')
                start = starts[start]
            waves.setdefault(depth, []).append(recipe)
        return [waves[depth] for depth in sorted(waves)]


def table_place(sweep: Sweep, recipe: Recipe) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels of a recipe's row and column; without the rows' axes it has a row of its own."""
    row, column = (tuple(recipe.axes.get(axis, '') for axis in axes)
                   for axes in (sweep.table.rows, sweep.table.columns))
    name = recipe.axes.get(RECIPE, recipe.name)
    return (row if row and all(row) else (name, *[''] * (len(row) - 1)),
            column if all(column) else ())


def choose_recipes(sweep: Sweep, only: Sequence[str]) -> list[Recipe]:
    """The recipes of a command line's ``--only``, in their order."""
    named = set(only).intersection(
        name for recipe in sweep.recipes for name in (recipe.name, recipe.folder))
    places: dict[str, set[str]] = {}
    for text in (text for text in only if text not in named):
        axis, _, value = text.partition('=')
        if value not in sweep.axes.get(axis, ()):
            axes = [f'{name}={" ".join(values)}' for name, values in sweep.axes.items()] or ['none']
            raise UserError(f'--only: no recipe is called {text!r}. There are the recipes '
                            f'{"; ".join(recipe.name for recipe in sweep.recipes)} and the axes '
                            f'{"; ".join(axes)}.')
        places.setdefault(axis, set()).add(value)
    chosen = [recipe for recipe in sweep.recipes if not only or named & {recipe.name, recipe.folder}
              or (places and all(recipe.axes.get(axis) in places[axis] for axis in places))]
    if not chosen:
        raise UserError(f'--only: no recipe has {" and ".join(only)}.')
    return chosen

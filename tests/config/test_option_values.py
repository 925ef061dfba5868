import argparse

import pytest

from mmips.config.option_values import OptionAction


@pytest.fixture
def read():
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction)
    return lambda *options: parser.parse_args(['--cfg-options', *options]).cfg_options


@pytest.mark.parametrize('typed, value', [
    # As in all tools of OpenMMLab.
    ('3', 3), ('1e-3', 1e-3), ('True', True), ('None', None), ('', ''), ('a,b', ['a', 'b']),
    ('[a, 1]', ['a', 1]), ('[(1, 2), [3, 4]]', [(1, 2), [3, 4]]), ('"[1, 2]"', [1, 2]),
    ("['a','b']", ['a', 'b']), ('x=y', 'x=y'),
    # Theirs lose spaces and quotes.
    ("/two  words/ü'", "/two  words/ü'"), ('a\nb', 'a\nb'), ('back\\slash"', 'back\\slash"'),
    ('[traffic light, car]', ['traffic light', 'car']), ('/x (1)', '/x (1)'),
    # A text whatever it looks like.
    ('"/x, y"', '/x, y'), ("'2024'", '2024'), ("'a [b] (c), d'", 'a [b] (c), d')])
def test_values(read, typed, value):
    assert read(f'key={typed}', 'other=1') == dict(key=value, other=1)


@pytest.mark.parametrize('typed', ['key', 'key=[a,(b]'])
def test_what_cannot_be_read(read, typed, capsys):
    with pytest.raises(SystemExit):
        read(typed)
    assert f'takes KEY=VALUE with balanced brackets, got {typed} (' in capsys.readouterr().err

import runpy
import urllib.error

import pytest

from mmips.errors import MissingFileError, UserError, error_text, explained, hint


def chained():
    error = ValueError('bad archive')
    error.__cause__ = OSError('no network')
    return error


@pytest.mark.parametrize('error, words', [
    (ValueError('bad value'), 'ValueError: bad value'),
    (KeyError('X is not in'), 'KeyError: X is not in'),
    (FileNotFoundError('no such file'), 'FileNotFoundError: no such')])
def test_a_refusal_becomes_one_of_the_user(error, words):
    with pytest.raises(UserError, match=f'^not built: {words}') as caught:
        with explained('not built'):
            raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize('error', [
    RuntimeError('CUDA error'), ZeroDivisionError(), MissingFileError('x is not there')])
def test_others_pass(error):
    with pytest.raises(type(error)) as caught:
        with explained('not built', 'get it there'):
            raise error
    assert caught.value is error


def test_a_part_that_is_not_built_is_named():
    from mmengine.registry import Registry
    parts = Registry('part')

    @parts.register_module()
    class Part:
        def __init__(self, inner=None, size=1):
            assert size > 0
            self.inner = inner and parts.build(inner)

    with pytest.raises(UserError, match=r'^not built: Part\(size=-1\): AssertionError: assert'):
        with explained('not built'):
            parts.build(dict(type='Part', inner=dict(type='Part', size=-1)))


@pytest.mark.parametrize('error, said', [
    (urllib.error.URLError('off'), 'off'), (chained(), 'bad archive'),
    (AssertionError('Download failed or shared storage'), 'Download failed'),
    (RuntimeError('Download failed'), 'Download failed')])
def test_a_failed_download_says_what_to_get(error, said):
    with pytest.raises(UserError, match=rf'^get it there\n  \(the download failed: .*{said}'):
        with explained('not built', 'get it there'):
            raise error


def test_last_line_of_a_worker_is_its_message():
    error = ValueError('Caught ValueError in DataLoader worker process 0.\nOriginal Traceback '
                       '(most recent call last):\n  File "x.py"\nValueError: bad image')
    assert error_text(error) == 'ValueError: bad image'


def test_a_missing_file_is_said_in_words():
    assert str(MissingFileError('no a.pth', 'b')) == "('no a.pth', 'b')"
    assert isinstance(MissingFileError('x'), FileNotFoundError)


def test_an_assertion_without_words_is_its_condition(tmp_path):
    (tmp_path / 'x.py').write_text('stages = []\nassert len(stages) == 3\n')
    with pytest.raises(UserError, match='^not built: AssertionError: assert len.stages. == 3$'):
        with explained('not built'):
            runpy.run_path(str(tmp_path / 'x.py'))


def test_a_hint_names_what_may_be_meant():
    assert hint('enabel', ['enable', 'table'], cutoff=0.85) == ' (did you mean enable?)'
    assert hint('momentun', ['momentum', 'momentum', 'lr', 1]) == ' (did you mean momentum?)'
    assert hint('x', ['momentum']) == ''

import pytest

from mmips.names import file_name, one_line

ODD = ['../../x', '/etc/passwd', 'a\0b', 'a\nb', '...', '-rf', '.-hidden', 'é🎉', '\ud800',
       'x' * 300, 'a,b', 'C:\\x', '', ' ']


@pytest.mark.parametrize('text', ODD)
def test_a_name_of_a_file_stays_in_its_folder(text, tmp_path):
    name = file_name(text, 'otherwise')
    assert name.isascii() and name[0] not in '.-_' and len(name) <= 100
    (tmp_path / name).write_text('')
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_names_that_are_safe_stay():
    assert file_name('p_r=0.1_mix=Cut+Mix-2', '') == 'p_r=0.1_mix=Cut+Mix-2'
    assert [file_name(text, 'recipe') for text in ('../x', '%', '...')] == ['x', 'recipe', 'recipe']


def test_one_line_can_be_written_anywhere():
    assert one_line(' a\n b\tc\x00\ud800\x7f é👩\u200d💻 ') == 'a b c\ufffd\ufffd\ufffd é👩\u200d💻'
    assert all(one_line(text).encode() is not None for text in ODD)

"""What INPUT names: literal names first, then patterns; hidden files are left out."""

import shutil

import pytest

from unetpp.core.errors import InputError
from unetpp.core.storage import open_storage
from unetpp.inference.inputs import find_images, split_glob


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.png", ["a.png", "broken.png"]),
        ("**/a.*", ["a.png", "sub/a.tif"]),
        ("s?b/*", ["sub/a.tif"]),
        ("[ab].*", ["a.png", "b.jpg"]),
    ],
)
def test_find_images_glob_matches_part_by_part(folder, pattern, found):
    assert list(find_images(f"{folder}/{pattern}").paths) == found


def test_find_images_same_stem_twice_is_refused(folder):
    (folder / "a.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="'a'"):
        find_images(str(folder))


@pytest.mark.parametrize("name", ["absent", "absent.png", "*.tga"])
def test_find_images_nothing_there_is_refused(folder, name):
    with pytest.raises(InputError, match="no images at"):
        find_images(f"{folder}/{name}")


@pytest.mark.parametrize(
    ("source", "cut"),
    [
        ("s3://bucket/a/*.png", ("s3://bucket/a", "*.png")),
        ("*.png", (".", "*.png")),
        ("/*/x.png", ("/", "*/x.png")),
        ("folder/x.png", ("folder/x.png", "")),
    ],
)
def test_split_glob_cuts_before_first_wildcard(source, cut):
    assert split_glob(source) == cut


@pytest.mark.parametrize("name", ["p_br[1]", "a*b", "what?"])
def test_find_images_takes_an_existing_name_literally(folder, tmp_path, name):
    (tmp_path / name).mkdir()
    shutil.copy(folder / "a.png", tmp_path / name / "x[0].png")
    shutil.copy(folder / "a.png", tmp_path / name / "x0.png")
    assert find_images(f"{tmp_path}/{name}").paths == ("x0.png", "x[0].png")
    assert find_images(f"{tmp_path}/{name}/x[0].png").paths == ("x[0].png",)


def test_find_images_takes_a_name_of_a_bucket_literally(folder):
    uri = "memory://literal/p_br[1]"
    open_storage(uri).write("a.png", (folder / "a.png").read_bytes())
    assert find_images(uri).paths == ("a.png",)
    assert find_images(f"{uri}/a.png").paths == ("a.png",)
    assert find_images("memory://literal/*/a.png").paths == ("p_br[1]/a.png",)


@pytest.mark.parametrize("pattern", ["", "/*.png", "/**/*.png"])
def test_find_images_leaves_hidden_files_out_unless_named(folder, pattern):
    (folder / ".hidden").mkdir()
    for name in ("._a.png", ".hidden/b.png", "sub/._c.png"):
        shutil.copy(folder / "a.png", folder / name)
    assert not [path for path in find_images(f"{folder}{pattern}").paths if "." in path[:-4]]
    assert find_images(f"{folder}/._a.png").paths == ("._a.png",)


def test_find_images_searches_linked_folders_each_once_and_says_which_links_it_passes_over(
    folder, tmp_path, caplog
):
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(folder / "a.png", tmp_path / "elsewhere/z.png")
    plain = find_images(str(folder)).paths
    (folder / "sub/linked").symlink_to(tmp_path / "elsewhere")
    (folder / "again").symlink_to(folder / "sub")
    (folder / "sub/up").symlink_to(tmp_path)
    (folder / "sub/loop").symlink_to(folder)
    assert find_images(str(folder)).paths == tuple(sorted([*plain, "sub/linked/z.png"]))
    assert "3 linked folder(s)" in caplog.text
    assert find_images(str(folder / "sub/linked")).paths == ("z.png",)

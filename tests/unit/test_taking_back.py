"""Tar streams that want to write where they may not."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path, PurePosixPath

import pytest

from nodewise.adapters.builds.taking_back import Room, TakingBack, links_out_of
from nodewise.domain.errors import GiveUp


class Quiet:
    def line(self, text: str) -> None:
        raise AssertionError(text)

    def check(self) -> None:
        return


def entry(name: str, kind: bytes = tarfile.REGTYPE, to: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def take(folder: Path, *entries: tarfile.TarInfo, output: str = ".") -> Path:
    """Those entries, taken back into a checkout; it."""
    checkout, beside = folder / "checkout", folder / "beside"
    checkout.mkdir(exist_ok=True)
    beside.mkdir()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for info in entries:
            tar.addfile(info)
    stream.seek(0)
    taking = TakingBack(checkout, PurePosixPath(output), beside, Room(10_000), links_out_of(checkout), Quiet())
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        taking.unpack(tar)
    taking.move()
    return checkout


@pytest.mark.parametrize(
    "entries",
    [
        [entry("/etc/evil")],
        [entry("../evil")],
        [entry("a/../../evil")],
        [entry("l", tarfile.SYMTYPE, "/etc"), entry("l/evil")],
        [entry("l", tarfile.SYMTYPE, "."), entry("l/evil")],
        [entry("l", tarfile.SYMTYPE, "x"), entry("l")],
        [entry("l", tarfile.SYMTYPE, "x"), entry("l", tarfile.DIRTYPE)],
        [entry("h", tarfile.LNKTYPE, "/etc/passwd")],
        [entry("h", tarfile.LNKTYPE, "../../etc/passwd")],
        [entry("l", tarfile.SYMTYPE, "../x"), entry("h", tarfile.LNKTYPE, "l")],
        [entry("h", tarfile.LNKTYPE, "nothing")],
        [entry("d", tarfile.CHRTYPE)],
        [entry("d", tarfile.BLKTYPE)],
        [entry("d", tarfile.FIFOTYPE)],
        [entry("a"), entry("a/b")],
        [entry("a/" * 1000 + "b")],
        [entry("d", tarfile.DIRTYPE), entry("a", tarfile.SYMTYPE, "b/../../x"), entry("b", tarfile.SYMTYPE, "d")],
    ],
    ids=lambda entries: " ".join(f"{e.name[:20]}>{e.linkname}" if e.linkname else e.name[:20] for e in entries),
)
def test_nothing_is_written_outside(tmp_path: Path, entries: list[tarfile.TarInfo]) -> None:
    with pytest.raises(GiveUp, match="the source build's output"):
        take(tmp_path, *entries)
    assert {path.name for path in tmp_path.iterdir()} == {"checkout", "beside"}
    assert not (tmp_path / "checkout" / "evil").exists()


def test_a_link_of_the_repository_is_not_followed_to_write_behind_it(tmp_path: Path) -> None:
    (tmp_path / "checkout").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "checkout" / "out").symlink_to("../outside")
    with pytest.raises(GiveUp, match="behind the link out"):
        take(tmp_path, entry("x"), output="out/x")
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_link_of_the_repository_is_replaced_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "checkout").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "checkout" / "out").symlink_to("../outside")
    checkout = take(tmp_path, entry("out", tarfile.DIRTYPE), entry("out/x"), output="out")
    assert not (checkout / "out").is_symlink()
    assert (checkout / "out" / "x").exists()
    assert (tmp_path / "outside").is_dir()


def test_links_within_the_checkout_and_loops_come_along(tmp_path: Path) -> None:
    checkout = take(
        tmp_path,
        entry("d", tarfile.DIRTYPE),
        entry("d/up", tarfile.SYMTYPE, "../f"),
        entry("f"),
        entry("loop", tarfile.SYMTYPE, "loop"),
    )
    assert (checkout / "d" / "up").exists()
    assert (checkout / "loop").is_symlink()


def test_rights_of_other_users_programs_are_not_taken_over(tmp_path: Path) -> None:
    info = entry("f")
    info.mode = 0o4755
    assert (take(tmp_path, info) / "f").stat().st_mode & 0o7777 == 0o755


def test_a_tree_without_git_leaves_the_checkouts_own(tmp_path: Path) -> None:
    (tmp_path / "checkout" / ".git").mkdir(parents=True)
    (tmp_path / "checkout" / "old").touch()
    checkout = take(tmp_path, entry(".git", tarfile.DIRTYPE), entry(".git/config"), entry("sub/.git"), entry("sub/new"))
    assert list((checkout / ".git").iterdir()) == []
    assert {path.name for path in checkout.iterdir()} == {".git", "sub"}
    assert [path.name for path in (checkout / "sub").iterdir()] == ["new"]

"""What is sent to a builder, and the guard that nothing else is."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from nodewise.adapters.builds.attending import Over, Reporter
from nodewise.adapters.builds.context import Context
from nodewise.domain.errors import GiveUp
from tests.building import Listener

QUIET = Reporter(Listener())


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / ".git").mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "file").write_text("x" * 1000)
    return folder


def names(context: Context) -> list[str]:
    with context.tar(QUIET) as stream, tarfile.open(fileobj=stream) as archive:
        return archive.getnames()


@pytest.mark.parametrize(
    ("context", "recipe"),
    [
        ("..", "Dockerfile"),
        ("out", "Dockerfile"),
        ("sub/../..", "Dockerfile"),
        (".", "../Dockerfile"),
        (".", "/etc/passwd"),
        (".", "out/Dockerfile"),
        (".", "linked"),
        ("sub", "../linked"),
    ],
)
def test_what_leads_out_of_the_checkout_is_refused(checkout: Path, context: str, recipe: str) -> None:
    (checkout.parent / "Dockerfile").write_text("FROM scratch\n")
    (checkout / "sub").mkdir()
    (checkout / "out").symlink_to(checkout.parent)
    (checkout / "linked").symlink_to("/etc/passwd")
    with pytest.raises(GiveUp, match="leads out of the checkout"):
        Context.of(checkout / context, recipe)


@pytest.mark.parametrize(("context", "recipe"), [("none", "Dockerfile"), (".", "none"), ("file", "Dockerfile")])
def test_what_is_not_in_the_repository_is_named(checkout: Path, context: str, recipe: str) -> None:
    with pytest.raises(GiveUp, match=r"not in the repository|not a folder"):
        Context.of(checkout / context, recipe)


@pytest.mark.parametrize(
    ("name", "buildkit"),
    [(".dockerignore", False), (".dockerignore", True), ("Dockerfile.dockerignore", True)],
)
def test_an_ignore_file_that_leads_out_is_refused(checkout: Path, name: str, buildkit: bool) -> None:
    (checkout / name).symlink_to("/etc/passwd")
    with pytest.raises(GiveUp, match="leads out"):
        Context.of(checkout, "Dockerfile").measure(10**9, QUIET, buildkit)


def test_links_are_sent_as_links_and_never_followed(checkout: Path) -> None:
    (checkout / "passwd").symlink_to("/etc/passwd")
    (checkout / "etc").symlink_to("/etc")
    with Context.of(checkout, "").tar(QUIET) as stream, tarfile.open(fileobj=stream) as archive:
        assert archive.getmember("passwd").issym()
        assert archive.getmember("etc").issym()
        assert not [n for n in archive.getnames() if n.startswith("etc/")]


def test_what_is_ignored_is_neither_sent_nor_counted(checkout: Path) -> None:
    (checkout / ".dockerignore").write_text("# a comment\nfile\n!sub/file\n.git\n")
    context = Context.of(checkout, "Dockerfile")
    assert names(context) == [".dockerignore", "Dockerfile"]
    context.measure(500, QUIET, buildkit=False)
    (checkout / "Dockerfile.dockerignore").write_text("nothing\n")
    context.measure(500, QUIET, buildkit=False)
    with pytest.raises(GiveUp, match=r"has 10\d\d bytes, and a build may have 500 bytes \(.*\.dockerignore"):
        context.measure(500, QUIET, buildkit=True)


def test_a_large_file_is_read_while_it_is_asked_whether_to_go_on(checkout: Path) -> None:
    (checkout / "large").write_bytes(b"x" * 5_000_000)
    asked: list[bool] = []
    reporter = Reporter(Listener(end=lambda: len(asked) > 2 or bool(asked.append(True))))
    reporter._checked_at = float("-inf")
    with pytest.raises(Over):
        for _ in range(100):
            reporter._checked_at = float("-inf")
            with Context.of(checkout, "Dockerfile").tar(reporter):
                pass


def test_the_registries_of_the_images_are_known_without_variables_and_stages(checkout: Path) -> None:
    (checkout / "Dockerfile").write_text(
        "# a comment\n# syntax=quay.io/frontend:1\nARG BASE\nFROM --platform=linux/amd64 ghcr.io/a/b:1 AS x\nFROM x\n"
        "from $BASE\nFROM localhost:5000/c\nCOPY --chown=1 --from=gcr.io/d:1 /a /b\n"
        "RUN --mount=type=bind,from=lscr.io/e,target=/x true\n"
    )
    known = Context.of(checkout, "Dockerfile").registries()
    assert known == {"quay.io", "ghcr.io", "docker.io", "localhost:5000", "gcr.io", "lscr.io"}

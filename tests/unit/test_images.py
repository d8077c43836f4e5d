"""Image names: taken apart and put together by the rules of Docker's reference grammar."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodewise.domain.errors import UserError
from nodewise.domain.images import HUB, ImageName

SHA = "sha256:" + "ab" * 32

component = st.from_regex(r"[a-z0-9]{1,8}(?:(?:\.|_|__|-{1,2})[a-z0-9]{1,5}){0,2}", fullmatch=True)
paths = st.lists(component, min_size=1, max_size=4).map("/".join)
hosts = st.one_of(
    st.just("localhost"),
    st.from_regex(r"[a-z0-9]{1,8}\.[a-z]{2,5}(?::[1-9][0-9]{1,4})?", fullmatch=True),
    st.from_regex(r"[a-z0-9]{1,8}:[1-9][0-9]{1,4}", fullmatch=True),
    st.just("[::1]:5000"),
)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
digests = st.text("0123456789abcdef", min_size=64, max_size=64).map("sha256:".__add__)


@st.composite
def names(draw: st.DrawFn) -> ImageName:
    registry = draw(st.one_of(st.just(HUB), hosts))
    path = draw(paths)
    if registry == HUB:
        first, slash, _ = path.partition("/")
        if not slash:
            path = f"library/{path}"
        elif "." in first or first == "localhost":
            path = f"library/{path}".replace(first, "team", 1)
    return ImageName(registry, path, draw(st.just("") | tags), draw(st.just("") | digests))


@given(names())
def test_what_is_printed_is_read_back_as_the_same_name(name: ImageName) -> None:
    again = ImageName.parse(str(name))
    assert (again.registry, again.tag, again.digest) == (name.registry, name.tag, name.digest)
    assert again.path == name.path or name.path.startswith("library/")
    assert ImageName.parse(str(again)) == again


@given(names())
def test_spelled_out_in_full_nothing_is_lost(name: ImageName) -> None:
    full = name.repository
    full += f":{name.tag}" if name.tag else ""
    full += f"@{name.digest}" if name.digest else ""
    assert ImageName.parse(full) == name


@given(names(), digests)
def test_pinning_keeps_the_repository_and_the_tag(name: ImageName, digest: str) -> None:
    pinned = name.pinned(digest)
    assert (pinned.repository, pinned.tag, pinned.digest) == (name.repository, name.tag, digest)
    assert str(pinned).endswith(f"@{digest}")


@given(names(), tags)
def test_another_tag_drops_the_digest_that_belonged_to_the_old_one(name: ImageName, tag: str) -> None:
    other = name.with_tag(tag)
    assert (other.repository, other.tag, other.digest) == (name.repository, tag, "")


@given(st.text(max_size=60))
def test_any_text_is_a_name_or_an_error_for_the_user(text: str) -> None:
    problem: UserError | None = None
    try:
        assert ImageName.parse(text).path
    except UserError as error:
        problem = error
    assert problem is None or (problem.field == "image" and problem.hint)


@given(names(), st.sampled_from(string.whitespace + "\0|;$&<>'\"\\"), st.integers(0, 200))
def test_no_space_and_no_shell_character_gets_through(name: ImageName, bad: str, where: int) -> None:
    text = str(name)
    where = 1 + where % max(1, len(text) - 1)  # inside: space around a name is forgiven
    if where < len(text):
        with pytest.raises(UserError):
            ImageName.parse(text[:where] + bad + text[where:])


@pytest.mark.parametrize(
    ("text", "registry", "path", "tag", "digest"),
    [
        ("nginx", HUB, "library/nginx", "", ""),
        ("nginx:1.27", HUB, "library/nginx", "1.27", ""),
        ("team/app", HUB, "team/app", "", ""),
        ("docker.io/nginx", HUB, "library/nginx", "", ""),
        ("index.docker.io/library/nginx", HUB, "library/nginx", "", ""),
        ("localhost/app", "localhost", "app", "", ""),
        ("localhost:5000/app:v1", "localhost:5000", "app", "v1", ""),
        ("registry:5000/a/b/c:v1", "registry:5000", "a/b/c", "v1", ""),
        ("ghcr.io/team/app@" + SHA, "ghcr.io", "team/app", "", SHA),
        ("[::1]:5000/app:v1@" + SHA, "[::1]:5000", "app", "v1", SHA),
    ],
)
def test_the_parts_are_those_of_docker(text: str, registry: str, path: str, tag: str, digest: str) -> None:
    assert ImageName.parse(text) == ImageName(registry, path, tag, digest)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "path"),
        ("App", "path"),
        ("team//app", "path"),
        ("app:", "tag"),
        ("app@", "digest"),
        ("app:-x", "tag"),
        ("app:" + "x" * 129, "tag"),
        ("app@sha256:12", "digest"),
        ("exa_mple.com/app", "registry"),
        ("-app", "path"),
    ],
)
def test_the_error_names_the_part_that_is_wrong(text: str, part: str) -> None:
    with pytest.raises(UserError, match=part):
        ImageName.parse(text)

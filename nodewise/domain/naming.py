"""Placeholders of builds: ``{sha}`` and its like, in image names, build arguments and the source build's environment.

A ref tells some of them, and only git the others: a text is filled in twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from nodewise.domain.errors import UserError
from nodewise.domain.recipe import Commit, Recipe

PLACEHOLDERS = ("branch", "sha", "short_sha", "tag", "version", "date")
OF_GIT = ("version", "date")
_PLACE = re.compile(r"{([a-z_]+)}")
_NO_TAG = re.compile(r"[^A-Za-z0-9_.-]")


def unknown(text: str) -> str:
    """The first placeholder in *text* that there is none of; empty where all are known."""
    return next((name for name in _PLACE.findall(text) if name not in PLACEHOLDERS), "")


def by_ref(ref: str, commit: str) -> dict[str, str]:
    """What a pushed ref tells by itself; a part of an image's tag, each."""
    kind, _, name = ref.removeprefix("refs/").partition("/")
    found = {"sha": commit, "short_sha": commit[:12]}
    if kind == "tags":
        found |= {"tag": tag_safe(name), "version": tag_safe(_bare(name))}
    elif kind == "heads":
        found["branch"] = tag_safe(name)
    return found


def by_git(ref: str, commit: Commit) -> dict[str, str]:
    """What the commit tells besides: when it was made (UTC), and its name by the nearest tag."""
    found = by_ref(ref, commit.id)
    found["date"] = datetime.fromtimestamp(commit.at, UTC).strftime("%Y%m%d-%H%M%S")
    if "version" not in found and commit.described:
        found["version"] = tag_safe(_bare(commit.described))
    return found


def filled(text: str, values: Mapping[str, str]) -> str:
    """*text* with what is known; the other placeholders stay."""
    return _PLACE.sub(lambda found: values.get(found[1], found[0]), text)


def checked(text: str, values: Mapping[str, str], ref: str, field: str, later: Sequence[str] = ()) -> str:
    """*text* filled in, but for what is told *later*. Raises UserError for what neither *ref* nor git can tell."""
    done = filled(text, values)
    left = next((name for name in _PLACE.findall(done) if name in PLACEHOLDERS and name not in later), "")
    if left:
        hint = "it takes a tag in the commit's history" if left == "version" else ""
        raise UserError(f"the {field} {text} asks for {{{left}}}, which {ref} does not have", hint, field)
    return done


def whole(recipe: Recipe, values: Mapping[str, str], ref: str) -> Recipe:
    """The recipe with its arguments and the source build's environment filled in. Raises UserError."""
    args = {key: checked(text, values, ref, f"argument {key}") for key, text in recipe.args.items()}
    source = recipe.source
    if source is not None:
        source = replace(
            source, env={key: checked(text, values, ref, f"variable {key}") for key, text in source.env.items()}
        )
    return replace(recipe, args=args, source=source)


def tag_safe(text: str) -> str:
    """A git name as a part of an image tag: what a tag cannot hold becomes a dash."""
    return _NO_TAG.sub("-", text)


def _bare(tag: str) -> str:
    return tag[1:] if re.match(r"v\d", tag) else tag

"""What happened, read from the places in a body that a hook names: for senders whose bodies have no shape of their own.

``hook.fields`` says where things stand, as dotted paths. Where it is empty they stand at the top under their own
names, which is our own plain shape: ``{"image": "registry.example/team/shop:1.4.0"}``, or ``{"repository", "tag"}``
and ``digest`` where it is known, or ``{"repository", "ref", "commit"}``.

One hook may name several of the three; a body is then read as the first whose mark it has. A name that is needed and
not among the fields is looked for at the top. It knows nothing of headers and signatures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from nodewise.domain.errors import UserError
from nodewise.domain.events import CodePushed, Event, ImagePushed
from nodewise.domain.images import ImageName
from webhooks.bodies import image, is_null, text
from webhooks.provider import Unreadable

Name = Literal["image", "repository", "tag", "digest", "ref", "commit"]
PLAIN: Mapping[Name, str] = {
    "image": "image",
    "repository": "repository",
    "tag": "tag",
    "digest": "digest",
    "ref": "ref",
    "commit": "commit",
}


def event(data: Mapping[str, Any], fields: Mapping[Name, str], registry: str = "") -> Event | str:
    """The event that *data* tells of, or the sentence that says why there is none.

    *registry*: the hook's own name for the registry, instead of the one in the body. Raises Unreadable with the path.
    """
    paths = fields or PLAIN
    marks = [mark for mark in _READERS if mark in paths]
    if not marks:
        raise Unreadable("the hook's fields name none of image, tag and ref", "fields")
    there = [mark for mark in marks if _is_there(data, paths[mark])]
    if not there and len(marks) > 1:
        raise Unreadable(f"none of {', '.join(paths[mark] for mark in marks)} is there", paths[marks[0]])
    return _READERS[(there or marks)[0]](data, paths, registry)


def _by_name(data: Mapping[str, Any], paths: Mapping[Name, str], registry: str) -> ImagePushed:
    path = paths["image"]
    try:
        name = ImageName.parse(_in_registry(text(data, path), registry))
    except UserError as error:
        raise Unreadable(f"{path}: {error.what}", path) from None
    if not name.tag:
        raise Unreadable(f"{path} has no tag", path)
    return ImagePushed(name.repository, name.tag, name.digest)


def _by_parts(data: Mapping[str, Any], paths: Mapping[Name, str], registry: str) -> ImagePushed:
    where = paths.get("repository", "repository")
    repository, tag = text(data, where), text(data, paths["tag"])
    digest = text(data, paths["digest"], "") if "digest" in paths else ""
    try:
        return image(_in_registry(repository, registry), tag, digest)
    except (UserError, Unreadable) as error:
        raise Unreadable(f"{where}, {paths['tag']}: {error.what}", where) from None


def _code(data: Mapping[str, Any], paths: Mapping[Name, str], registry: str) -> CodePushed | str:
    ref = text(data, paths["ref"])
    if not ref.startswith("refs/"):
        raise Unreadable(f"{paths['ref']} is no full ref such as refs/heads/main", paths["ref"])
    commit = text(data, paths.get("commit", "commit"))
    if is_null(commit):
        return f"{ref} was deleted"
    return CodePushed(text(data, paths.get("repository", "repository")), ref, commit)


_Reader = Callable[[Mapping[str, Any], Mapping[Name, str], str], Event | str]
_READERS: Mapping[Name, _Reader] = {"image": _by_name, "tag": _by_parts, "ref": _code}


def _in_registry(name: str, registry: str) -> str:
    """*name* as it is called in *registry*, if there is one to be used instead of its own. Raises UserError."""
    own = ImageName.parse(name).registry
    return f"{registry}/{name.strip().removeprefix(f'{own}/')}" if registry else name


def _is_there(data: Any, path: str) -> bool:
    for part in path.split("."):
        data = data.get(part) if isinstance(data, Mapping) else None
    return data is not None

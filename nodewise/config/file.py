"""The file nodewise.yaml: hooks, builds, registries, defaults for labels, and (in ``telling``) who is told.

Its schema, and errors that name the path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from nodewise.config.builds import AccessConfig, BuildConfig, SourceConfig
from nodewise.config.hooks import HookConfig
from nodewise.config.secrets import read_secret
from nodewise.config.shapes import Section, nearest
from nodewise.config.telling import NotificationConfig, StatusConfig
from nodewise.domain.errors import UserError


def _hook_name(given: str) -> str:
    """A part of the hook's address, and of a row."""
    if not re.fullmatch(r"[^/?#]{1,64}", given):
        raise ValueError("a hook's name has 1 to 64 characters, none of them /, ? or #: it is a part of its address")
    return given


HookName = Annotated[str, AfterValidator(_hook_name)]


class RegistryConfig(Section):
    """One registry: a login for it, where it wants one, and where Nodewise itself finds it."""

    username: str = Field(default="", description="The user.")
    password: SecretStr | None = Field(default=None, description="The password; better in a file.")
    password_file: Path | None = Field(default=None, description="A file with the password, read for each use.")

    address: str = Field(
        default="",
        description="Where Nodewise itself asks for tags, such as `http://registry:5000`; empty: `https://` and the"
        " host, or `http://` for this machine's own.",
    )

    @field_validator("address")
    @classmethod
    def _is_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or value.rstrip("/") != f"{parts.scheme}://{parts.netloc}"):
            raise ValueError("allowed is http(s)://HOST:PORT")
        if "@" in parts.netloc:
            raise ValueError("a login stands in username and password")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _one_password(self) -> RegistryConfig:
        passwords = (self.password is not None) + (self.password_file is not None)
        if passwords != bool(self.username) or not (self.username or self.address):
            raise ValueError("give username and either password or password_file, or an address alone")
        return self

    def login(self) -> Mapping[str, str] | None:
        """username and password, as the engine wants them, where there are any."""
        if not self.username:
            return None
        if self.password_file is not None:
            return {"username": self.username, "password": read_secret(self.password_file, "password_file")}
        assert self.password is not None
        return {"username": self.username, "password": self.password.get_secret_value()}


class FileConfig(Section):
    """The whole file."""

    hooks: dict[HookName, HookConfig] = Field(default={}, description="Places where deliveries come in, by name.")
    builds: dict[str, BuildConfig] = Field(default={}, description="What is built from git, by name.")
    registries: dict[str, RegistryConfig] = Field(default={}, description="Logins and addresses, by registry host.")
    defaults: dict[str, str] = Field(default={}, description="Defaults for service labels, without 'nodewise.'.")
    notifications: list[NotificationConfig] = Field(default=[], description="People who are told what becomes of it.")
    statuses: dict[Annotated[str, Field(max_length=64)], StatusConfig] = Field(
        default={}, description="Git servers that are told what became of a commit, by name."
    )


def load_file(path: Path | None) -> FileConfig:
    """Read the file; without one, everything is at its default. Raises UserError naming path and way out."""
    if path is None:
        return FileConfig()
    try:
        data = yaml.safe_load(path.read_text()) or {}
    except OSError as error:
        raise UserError(
            f"{path} cannot be read: {error.strerror}", "check NODEWISE_CONFIG", "NODEWISE_CONFIG"
        ) from error
    except yaml.YAMLError as error:
        raise UserError(f"{path} is no YAML: {yaml_place(error)}", "", "NODEWISE_CONFIG") from None
    try:
        return FileConfig.model_validate(data)
    except ValidationError as error:
        raise UserError(f"{path}: {_first(error)}", "see the README for an example", "NODEWISE_CONFIG") from None


def yaml_place(error: yaml.YAMLError) -> str:
    """Where, and not what: the line may hold a secret."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", "") or "it cannot be read"
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)


def _first(error: ValidationError) -> str:
    """The first error as one sentence; values of secrets are not in it."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {told(first)}" if where else told(first)


def told(error: Any) -> str:
    """What one of pydantic's errors says, without the value."""
    if error["type"] == "extra_forbidden":
        return f"is not known{nearest(str(error['loc'][-1]), _model_at(error['loc']).model_fields)}"
    return str(error["msg"]).removeprefix("Value error, ")


def meaning_at(location: tuple[int | str, ...]) -> str:
    """What the key at *location* means; empty where there is none."""
    fields = _model_at(location).model_fields
    found = next((fields[str(part)] for part in reversed(location) if str(part) in fields), None)
    return (found.description or "") if found else ""


def _model_at(location: tuple[int | str, ...]) -> type[Section]:
    models: dict[str, type[Section]] = {
        "hooks": HookConfig,
        "builds": BuildConfig,
        "registries": RegistryConfig,
        "notifications": NotificationConfig,
        "statuses": StatusConfig,
    }
    parts: dict[tuple[str, str], type[Section]] = {
        ("builds", "source"): SourceConfig,
        ("builds", "access"): AccessConfig,
    }
    if len(location) > 3:
        return parts.get((str(location[0]), str(location[2])), models.get(str(location[0]), FileConfig))
    return models.get(str(location[0]), FileConfig) if len(location) > 1 else FileConfig

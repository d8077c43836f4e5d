"""The file's sections about who is told: people (``notifications``), and where commits came from (``statuses``)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from nodewise import statuses
from nodewise.config.gate_labels import server_url
from nodewise.config.secrets import read_secret
from nodewise.config.shapes import Section, as_list
from nodewise.domain.errors import UserError
from nodewise.domain.told import BY_DEFAULT, State

FIELDS = ("service", "image", "state", "reason", "rollout", "who", "link")
FIELD = re.compile(r"{(\w+)}")
Patterns = Annotated[list[str], BeforeValidator(as_list)]


class NotificationConfig(Section):
    """People who are told, through one of the services that Apprise knows."""

    url: SecretStr | None = Field(default=None, description="The Apprise URL; better in a file, it holds secrets.")
    url_file: Path | None = Field(default=None, description="A file with the Apprise URL, read for each use.")
    on: Annotated[list[State], BeforeValidator(as_list)] = Field(
        default=list(BY_DEFAULT),
        min_length=1,
        description=f"What is told, of: {', '.join(State)}. Default: what ends a rollout or waits for a person,"
        f" {', '.join(BY_DEFAULT)}.",
    )
    services: Patterns = Field(
        default=["*"], min_length=1, description="Patterns of services, and of names of builds, that are told of."
    )
    title: str = Field(default="", description=f"The title; filled in are {', '.join(f'{{{n}}}' for n in FIELDS)}.")
    body: str = Field(default="", description="The text, with the same words; empty: a paragraph that says it all.")

    @model_validator(mode="before")
    @classmethod
    def _on_is_a_word(cls, data: object) -> object:
        """YAML 1.1 reads a key that is written ``on`` as true."""
        return {"on" if key is True else key: value for key, value in data.items()} if isinstance(data, dict) else data

    @field_validator("title", "body")
    @classmethod
    def _known_fields(cls, text: str) -> str:
        unknown = next((name for name in FIELD.findall(text) if name not in FIELDS), None)
        if unknown:
            raise ValueError(f"{{{unknown}}} is unknown; there are: {', '.join(f'{{{n}}}' for n in FIELDS)}")
        return text

    @model_validator(mode="after")
    def _one_url(self) -> NotificationConfig:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("give either url or url_file")
        if self.url is not None and "://" not in self.url.get_secret_value():
            raise ValueError("url: is no Apprise URL; it begins with the name of a service and ://")
        return self

    def address(self) -> str:
        """The Apprise URL; a file is read anew. Raises UserError."""
        if self.url_file is not None:
            return read_secret(self.url_file, "url_file")
        assert self.url is not None
        return self.url.get_secret_value().strip()


class StatusConfig(Section):
    """A git server that shows with each commit what became of it."""

    kind: str = Field(description=f"Its API: {', '.join(statuses.names())} (Bitbucket Cloud).")
    url: str = Field(description="The API's base address, such as https://api.github.com.")
    token: SecretStr | None = Field(default=None, description="The access token; better in a file.")
    token_file: Path | None = Field(default=None, description="A file with the access token, read for each use.")
    repositories: Patterns = Field(
        min_length=1, description="Patterns of the addresses of repositories that are there, as in `builds.<name>.git`."
    )
    context: str = Field(
        default="nodewise", min_length=1, description="What the status is called; the service's name follows."
    )

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, value: str) -> str:
        if value not in statuses.names():
            raise ValueError(f"{value!r} is not one of {', '.join(statuses.names())}")
        return value

    @field_validator("url")
    @classmethod
    def _is_server(cls, value: str) -> str:
        try:
            return server_url(value).rstrip("/")
        except (ValueError, UserError):
            raise ValueError("allowed is http(s)://HOST[:PORT][/PATH], without a login") from None

    @model_validator(mode="after")
    def _one_token(self) -> StatusConfig:
        if (self.token is None) == (self.token_file is None):
            raise ValueError("give either token or token_file")
        return self

    def secret(self) -> str:
        """The token; a file is read anew. Raises UserError."""
        if self.token_file is not None:
            return read_secret(self.token_file, "token_file")
        assert self.token is not None
        return self.token.get_secret_value().strip()

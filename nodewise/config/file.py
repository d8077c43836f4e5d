"""The file nodewise.yaml: hooks, builds, registries, defaults for labels. Its schema, and errors that name the path."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

from nodewise.config.secrets import read_secret
from nodewise.domain.errors import UserError

PROVIDERS = (
    "alertmanager",
    "amazon-ecr",
    "azure-acr",
    "azure-devops",
    "bitbucket-cloud",
    "bitbucket-server",
    "cloudevents",
    "distribution",
    "docker-hub",
    "forgejo",
    "git",
    "gitea",
    "github",
    "gitlab",
    "gitlab-registry",
    "gogs",
    "google-artifact-registry",
    "harbor",
    "hmac",
    "jfrog",
    "nexus",
    "quay",
    "standard-webhooks",
    "zot",
)
GENERIC = ("cloudevents", "hmac", "standard-webhooks")
USED_BY = {
    "signs": ("jfrog",),
    "audience": ("google-artifact-registry",),
    "account": ("google-artifact-registry",),
    "topics": ("amazon-ecr",),
    "header": ("cloudevents", "hmac"),
    "prefix": ("hmac",),
    "algorithm": ("hmac",),
    "types": ("cloudevents", "zot"),
    "fields": GENERIC,
    "service_label": ("alertmanager",),
    "always": ("alertmanager",),
}
SECRETLESS = ("amazon-ecr", "google-artifact-registry")  # signed with keys that the provider publishes
PLACEHOLDERS = ("branch", "sha", "short_sha", "tag", "version")


def _as_list(value: object) -> object:
    return [value] if isinstance(value, (str, Path)) else value


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HookConfig(_Model):
    """One place where deliveries come in: ``POST /hooks/<provider>[/<name>]``."""

    provider: str = Field(description="Who calls, and how it signs.")
    secrets: Annotated[list[SecretStr], BeforeValidator(_as_list)] = Field(
        default=[], max_length=2, description="The shared secret; two during a rotation."
    )
    secrets_files: Annotated[list[Path], BeforeValidator(_as_list)] = Field(
        default=[], max_length=2, description="Files with the secrets, such as /run/secrets/hook."
    )
    registry: str = Field(
        default="", description="The registry's name in image names, where it is not the notified one."
    )
    signs: Literal["secret", "hmac"] = Field(
        default="secret", description="Whether the secret itself is sent, or an HMAC by it (jfrog)."
    )
    audience: str = Field(default="", description="The audience of its tokens (google-artifact-registry).")
    account: str = Field(
        default="", description="The service account whose tokens they are (google-artifact-registry)."
    )
    topics: Annotated[list[str], BeforeValidator(_as_list)] = Field(
        default=[], description="The ARNs of the topics that may call (amazon-ecr by SNS)."
    )
    header: str = Field(
        default="", description="The header with the signature (hmac), or with the secret (cloudevents)."
    )
    prefix: str = Field(default="", description="What stands before the hex digits of the signature (hmac).")
    algorithm: Literal["sha256", "sha512", "sha1"] = Field(default="sha256", description="The HMAC's hash (hmac).")
    types: Annotated[list[str], BeforeValidator(_as_list)] = Field(
        default=[], description="Types of events that count, as patterns (cloudevents, zot)."
    )
    fields: dict[Literal["image", "repository", "tag", "digest", "ref", "commit"], str] = Field(
        default={},
        description="Where in the body things stand, as dotted paths (cloudevents, hmac, standard-webhooks).",
    )
    service_label: str = Field(
        default="nodewise_service", description="The alert's label that names the service (alertmanager)."
    )
    always: bool = Field(
        default=False, description="Whether an alert counts outside the watch of a rollout as well (alertmanager)."
    )

    @model_validator(mode="after")
    def _knows_its_provider(self) -> HookConfig:
        if self.provider not in PROVIDERS:
            near = _nearest(self.provider, PROVIDERS)
            raise ValueError(f"provider: {self.provider!r} is not one of {', '.join(PROVIDERS)}{near}")
        for name in sorted(self.model_fields_set & USED_BY.keys()):
            if self.provider not in USED_BY[name]:
                raise ValueError(f"{name} means nothing to {self.provider}, only to {', '.join(USED_BY[name])}")
        return self

    @model_validator(mode="after")
    def _has_secrets(self) -> HookConfig:
        count = len(self.secrets) + len(self.secrets_files)
        if not count and self.provider in SECRETLESS:
            return self
        if not 1 <= count <= 2:
            raise ValueError(f"one secret or two (during a rotation) are needed, {count} are given")
        if any(not s.get_secret_value().strip() for s in self.secrets):
            raise ValueError("a secret must not be empty")
        return self

    @model_validator(mode="after")
    def _knows_whom_to_trust(self) -> HookConfig:
        """Keys that a provider publishes sign for all of its customers."""
        if self.provider == "google-artifact-registry" and not (self.audience and self.account):
            raise ValueError("audience and account are needed: whose tokens count, and for what")
        if self.provider == "amazon-ecr" and not (self.topics or self.secrets or self.secrets_files):
            raise ValueError("secrets (EventBridge) or topics (SNS) are needed")
        return self

    def active_secrets(self) -> list[bytes]:
        """The secrets in force now; files are read each time, so that a rotation needs no restart."""
        read = [read_secret(path, "secrets_files") for path in self.secrets_files]
        return [s.encode() for s in (*(s.get_secret_value() for s in self.secrets), *read)]


class BuildConfig(_Model):
    """What is built from which repository."""

    git: str = Field(description="The repository's URL, as the git server names itself in its events.")
    refs: Annotated[list[str], BeforeValidator(_as_list)] = Field(
        default=["refs/heads/main"], min_length=1, description="Patterns of refs that are built."
    )
    image: str = Field(description="Image name; {version}, {tag}, {branch}, {sha}, {short_sha} are filled in.")
    dockerfile: str = Field(default="Dockerfile", description="The Dockerfile, from the context.")
    context: str = Field(default=".", description="The build's context, from the repository's root.")
    args: dict[str, str] = Field(default={}, description="Build arguments; no place for secrets.")

    @model_validator(mode="after")
    def _known_placeholders(self) -> BuildConfig:
        unknown = sorted(set(re.findall(r"{(.*?)}", self.image)) - set(PLACEHOLDERS))
        if unknown:
            raise ValueError(f"image: {{{unknown[0]}}} is unknown; there are: {', '.join(PLACEHOLDERS)}")
        return self

    def image_for(self, ref: str, commit: str) -> str:
        """The image's name for one pushed commit. Raises UserError when the ref has not what the name asks for."""
        kind, _, name = ref.removeprefix("refs/").partition("/")
        tag = name if kind == "tags" else ""
        branch = name if kind == "heads" else ""
        values = {
            "sha": commit,
            "short_sha": commit[:12],
            "tag": _tag_safe(tag),
            "branch": _tag_safe(branch),
            "version": _tag_safe(tag[1:] if re.match(r"v\d", tag) else tag),
        }
        for key in re.findall(r"{(.*?)}", self.image):
            if not values[key]:
                raise UserError(
                    f"the image name {self.image} asks for {{{key}}}, which {ref} does not have", "", "image"
                )
        return self.image.format(**values)


class RegistryConfig(_Model):
    """A login for one registry."""

    username: str = Field(description="The user.")
    password: SecretStr | None = Field(default=None, description="The password; better in a file.")
    password_file: Path | None = Field(default=None, description="A file with the password, read for each use.")

    @model_validator(mode="after")
    def _one_password(self) -> RegistryConfig:
        if (self.password is None) == (self.password_file is None):
            raise ValueError("give either password or password_file")
        return self

    def login(self) -> Mapping[str, str]:
        """username and password, as the engine wants them."""
        if self.password_file is not None:
            return {"username": self.username, "password": read_secret(self.password_file, "password_file")}
        assert self.password is not None
        return {"username": self.username, "password": self.password.get_secret_value()}


class FileConfig(_Model):
    """The whole file."""

    hooks: dict[str, HookConfig] = Field(default={}, description="Places where deliveries come in, by name.")
    builds: dict[str, BuildConfig] = Field(default={}, description="What is built from git, by name.")
    registries: dict[str, RegistryConfig] = Field(default={}, description="Logins, by registry host.")
    defaults: dict[str, str] = Field(default={}, description="Defaults for service labels, without 'nodewise.'.")


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
        raise UserError(f"{path} is no YAML: {_yaml_place(error)}", "", "NODEWISE_CONFIG") from None
    try:
        return FileConfig.model_validate(data)
    except ValidationError as error:
        raise UserError(f"{path}: {_first(error)}", "see the README for an example", "NODEWISE_CONFIG") from None


def _yaml_place(error: yaml.YAMLError) -> str:
    """Where, and not what: the line may hold a secret."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", "") or "it cannot be read"
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)


def _first(error: ValidationError) -> str:
    """The first error as one sentence; values of secrets are not in it."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        known = _fields_at(first["loc"])
        return f"{where}: is not known{_nearest(str(first['loc'][-1]), known)}"
    return f"{where}: {message}" if where else message


def _fields_at(location: tuple[int | str, ...]) -> list[str]:
    models: dict[str, type[_Model]] = {"hooks": HookConfig, "builds": BuildConfig, "registries": RegistryConfig}
    model: type[_Model] = models.get(str(location[0]), FileConfig) if len(location) > 1 else FileConfig
    return list(model.model_fields)


def _nearest(word: str, words: Any) -> str:
    near = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def _tag_safe(text: str) -> str:
    """A git name as a part of an image tag: what a tag cannot hold becomes a dash."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", text)

"""The hooks of nodewise.yaml: who may call, and how it proves whom it is. Knows providers by name alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from nodewise.config.secrets import read_secret
from nodewise.config.shapes import Section, as_list, nearest

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
TIMED = (  # there is, or can be, a signed time in what these send: clocks that differ have it refused
    "amazon-ecr",
    "cloudevents",
    "git",
    "gitlab",
    "google-artifact-registry",
    "standard-webhooks",
)
SECRETLESS = ("amazon-ecr", "google-artifact-registry")  # signed with keys that the provider publishes
NAMELESS = ("nexus", "zot")
NEEDS = {
    "registry": NAMELESS,
    "audience": ("google-artifact-registry",),
    "account": ("google-artifact-registry",),
}


class HookConfig(Section):
    """One place where deliveries come in: ``POST /hooks/<provider>[/<name>]``."""

    provider: str = Field(description="Who calls, and how it signs.")
    secrets: Annotated[list[SecretStr], BeforeValidator(as_list)] = Field(
        default=[], max_length=2, description="The shared secret; two during a rotation."
    )
    secrets_files: Annotated[list[Path], BeforeValidator(as_list)] = Field(
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
    topics: Annotated[list[str], BeforeValidator(as_list)] = Field(
        default=[], description="The ARNs of the topics that may call (amazon-ecr by SNS)."
    )
    header: str = Field(
        default="", description="The header with the signature (hmac), or with the secret (cloudevents)."
    )
    prefix: str = Field(default="", description="What stands before the hex digits of the signature (hmac).")
    algorithm: Literal["sha256", "sha512", "sha1"] = Field(default="sha256", description="The HMAC's hash (hmac).")
    types: Annotated[list[str], BeforeValidator(as_list)] = Field(
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

    @field_validator("provider")
    @classmethod
    def _is_provider(cls, given: str) -> str:
        if given not in PROVIDERS:
            raise ValueError(f"{given!r} is not one of {', '.join(PROVIDERS)}{nearest(given, PROVIDERS)}")
        return given

    @model_validator(mode="after")
    def _knows_its_provider(self) -> HookConfig:
        if self.provider in NEEDS["registry"] and not self.registry:
            raise ValueError(
                f"registry is needed: {self.provider} does not tell what its host is called in image names"
            )
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


def hook_path(provider: str, name: str) -> str:
    """Where the hook *name* is delivered to: the name stands in the address unless it is the provider's own."""
    return f"/hooks/{provider}" if name == provider else f"/hooks/{provider}/{name}"

"""Settings: environment variables ``NODEWISE_*`` (``NODEWISE_*_FILE`` names a file with the value, such as a
Docker secret), and the file that ``NODEWISE_CONFIG`` names. Each is declared here, once, with what it means.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from nodewise.config.builds import BuildConfig
from nodewise.config.file import FileConfig, load_file
from nodewise.config.gate_labels import server_url
from nodewise.config.hooks import HookConfig
from nodewise.config.readers import size
from nodewise.config.secrets import read_secret
from nodewise.domain.errors import UserError
from nodewise.domain.images import ImageName

PREFIX = "NODEWISE_"


def _default_data_dir() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/nodewise")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "nodewise"


class _FromFiles(PydanticBaseSettingsSource):
    """``NODEWISE_X_FILE``: the value is in a file."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        variable = f"{PREFIX}{field_name.upper()}_FILE"
        path = os.environ.get(variable)
        return (read_secret(Path(path), variable) if path else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        fields = {name: self.get_field_value(f, name)[0] for name, f in self.settings_cls.model_fields.items()}
        return {name: value for name, value in fields.items() if value is not None}


class Settings(BaseSettings):
    """Everything that can be set, with its default."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True)

    data_dir: Path = Field(
        default_factory=_default_data_dir,
        description="Where the embedded database, Redis's socket and the machine's own token are; not set:"
        " `/var/lib/nodewise` as root, else `~/.local/share/nodewise`.",
    )
    config: Path | None = Field(default=None, description="The file nodewise.yaml.")
    database_url: str = Field(
        default="", description="`sqlite:////path` or `postgresql://…`; empty: SQLite in the data folder."
    )
    redis_url: str = Field(
        default="", description="`redis://…` or `redis+socket:///path`; empty: `up` starts a Redis of its own."
    )
    docker_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("unix:///var/run/docker.sock",),
        description="Addresses of managers, with commas between; the next one is asked when one does not answer.",
    )
    build_host: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Addresses of engines that build, with commas between; empty: the first manager."
    )
    listen: str = Field(default="127.0.0.1:8420", description="Where the web process listens, `host:port`.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="How much is logged.")
    log_format: Literal["console", "json"] = Field(default="console", description="Lines for people, or JSON.")
    max_body_bytes: int = Field(
        default=25 * 1024 * 1024,
        ge=1024,
        description="The largest delivery taken, in bytes; GitHub sends no more than 25 MiB.",
    )
    replay_window: float = Field(
        default=300.0, gt=0, description="How old or early a signed time may be, in seconds, either way."
    )
    keep_days: float = Field(
        default=30.0,
        gt=0,
        description="How many days the bodies of deliveries, and the readings of ended rollouts, are kept.",
    )
    catch_up: float = Field(
        default=300.0,
        ge=0,
        description="How many seconds lie between two looks at the registries for pushes that no webhook told of;"
        " 0: none.",
    )
    worker_threads: int = Field(default=8, ge=1, le=128, description="How many jobs one worker runs at a time.")
    concurrent_builds: int = Field(default=2, ge=1, le=64, description="How many builds one worker runs at a time.")
    probe_image: str = Field(
        default="",
        description="An image with `sh` and `df`, such as busybox: with it the nodes' disks can be looked at"
        " (`nodewise.disk.min_free`).",
    )
    build_min_free: int = Field(
        default="1GiB",
        validate_default=True,
        description="How much space has to be free in the data folder, and where the engine keeps its images, before a"
        " build begins, such as `1GiB`; 0: it is not looked at.",
    )
    clean_image: str = Field(
        default="",
        description="An image with `sh` and the `docker` client, such as `docker:cli`: with it the nodes are cleaned"
        " of images that nothing needs any more (see docs/cleaning.md); empty: they are not.",
    )
    clean_socket: str = Field(
        default="/var/run/docker.sock",
        pattern=r"^/[^:,]+$",
        description="Where a node's engine listens, on the node; `{{.Node.Hostname}}` is filled in by the swarm.",
    )
    prometheus_url: str = Field(
        default="", description="The server that Prometheus gates ask, `http(s)://HOST:PORT`, without a login."
    )
    public_url: str = Field(
        default="",
        description="Where people reach Nodewise, `http(s)://HOST[/PATH]`, for links in what they are told.",
    )
    git_allow_local: bool = Field(default=False, description="Whether builds may name repositories by local path.")

    @field_validator("docker_hosts", "build_host", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(h.strip() for h in value.split(",") if h.strip()) if isinstance(value, str) else value

    @field_validator("clean_image")
    @classmethod
    def _is_image(cls, value: str) -> str:
        try:
            return str(ImageName.parse(value)) if value else value
        except UserError as error:
            raise ValueError(str(error)) from None

    @field_validator("build_min_free", mode="before")
    @classmethod
    def _measured(cls, value: object) -> object:
        try:
            return size(value) if isinstance(value, str) and value != "0" else value
        except ValueError:
            raise ValueError(f"{value!r} is no size, such as 1GiB, and not 0") from None

    @field_validator("prometheus_url", "public_url")
    @classmethod
    def _is_server(cls, value: str, info: ValidationInfo) -> str:
        try:
            return server_url(value) if value else value
        except (ValueError, UserError):
            page = "notifications" if info.field_name == "public_url" else "gates"
            raise ValueError(f"allowed is http(s)://HOST:PORT, without a login (see docs/{page}.md)") from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _FromFiles(settings_cls)

    def model_post_init(self, _context: Any) -> None:
        if not self.database_url:
            object.__setattr__(self, "database_url", f"sqlite:///{self.data_dir.absolute()}/nodewise.db")

    @cached_property
    def file(self) -> FileConfig:
        """The file's content, read once. Raises UserError."""
        return load_file(self.config)

    @property
    def hooks(self) -> Mapping[str, HookConfig]:
        return self.file.hooks

    @property
    def builds(self) -> Mapping[str, BuildConfig]:
        return self.file.builds

    @property
    def tells(self) -> bool:
        """Whether there is anybody to be told what becomes of rollouts and builds."""
        return bool(self.file.notifications or self.file.statuses)

    @property
    def keep(self) -> Mapping[str, int]:
        """How many images of each build are to stay, where that is limited."""
        return {name: build.keep for name, build in self.builds.items() if build.keep is not None}

    @property
    def cleans(self) -> bool:
        """Whether anything is ever removed."""
        return bool(self.clean_image or self.keep)

    @property
    def label_defaults(self) -> Mapping[str, str]:
        """Defaults for the labels of every service: the file's, and over them what has a setting of its own."""
        own = {"gate.prometheus.url": self.prometheus_url} if self.prometheus_url else {}
        return {**self.file.defaults, **own}

    @property
    def embedded_redis(self) -> bool:
        return not self.redis_url

    @property
    def redis_socket(self) -> Path:
        """The embedded Redis's socket. A socket's path is short (unix(7): 107 bytes), so a long one is moved."""
        path = self.data_dir.absolute() / "redis.sock"
        if len(str(path)) <= 100:
            return path
        import hashlib

        return Path("/tmp") / f"nodewise-{hashlib.sha256(str(path).encode()).hexdigest()[:16]}.sock"  # noqa: S108

    @property
    def broker_url(self) -> str:
        """Where Celery finds Redis."""
        return self.redis_url or f"redis+socket://{self.redis_socket}"

    def registry_auth(self, host: str) -> Mapping[str, str] | None:
        """The login for a registry, if one is configured. Password files are read anew: they may be rotated."""
        found = self.file.registries.get(host)
        return found.login() if found else None

    def registry_address(self, host: str) -> str:
        """The URL at which Nodewise itself asks a registry, where one is configured."""
        found = self.file.registries.get(host)
        return found.address if found else ""


def load_settings() -> Settings:
    """Settings from environment and file. Raises UserError naming the variable or the path in the file."""
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = PREFIX + str(first["loc"][0]).upper()
        raise UserError(f"{name}: {first['msg']}", "see docs/settings.md", name) from None
    settings.file  # noqa: B018 - read now, so that a wrong file is told at the start
    return settings

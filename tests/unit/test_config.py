"""Settings, the file and the labels: every error names the thing, the value and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from nodewise.config.builds import BuildConfig
from nodewise.config.file import load_file
from nodewise.config.labels import LABELS, read_labels
from nodewise.config.settings import load_settings
from nodewise.domain.errors import UserError

SECRET = "hunter2-and-more"


class Build(dict):
    """A file with one build; ``|`` adds to it."""

    def __or__(self, more):
        return {"builds": {"a": {"git": "x", "image": "r/a:{sha}", **more}}}


BUILD = Build()


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in [n for n in os.environ if n.startswith("NODEWISE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NODEWISE_DATA_DIR", str(tmp_path / "data"))


def refused(data, tmp_path: Path) -> str:
    path = tmp_path / "nodewise.yaml"
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
    with pytest.raises(UserError) as error:
        load_file(path)
    assert SECRET not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"hoks": {}}, ["hoks", "is not known", "hooks"]),
        ({"hooks": {"a": {"provider": "githup", "secrets": [SECRET]}}}, ["hooks.a.provider", "githup", "'github'"]),
        ({"hooks": {"a": {"provider": "git"}}}, ["hooks.a", "secret"]),
        ({"hooks": {"a/b": {"provider": "git", "secrets": [SECRET]}}}, ["hooks.a/b", "address"]),
        ({"hooks": {"a" * 65: {"provider": "git", "secrets": [SECRET]}}}, ["hooks.aaa", "64"]),
        ({"hooks": {"a": {"provider": "git", "secrets": [SECRET, SECRET, SECRET]}}}, ["hooks.a.secrets"]),
        ({"hooks": {"a": {"provider": "git", "secrets": [" "]}}}, ["hooks.a", "empty"]),
        ({"hooks": {"a": {"provider": "zot", "secrets": [SECRET]}}}, ["hooks.a", "registry", "zot"]),
        (
            {"hooks": {"a": {"provider": "git", "secrets": [SECRET], "audience": "x"}}},
            ["hooks.a", "audience", "google"],
        ),
        ({"hooks": {"a": {"provider": "amazon-ecr"}}}, ["hooks.a", "secrets", "topics"]),
        ({"hooks": {"a": {"provider": "google-artifact-registry", "audience": "x"}}}, ["hooks.a", "account"]),
        ({"hooks": {"a": {"provider": "git", "secret": SECRET}}}, ["hooks.a.secret", "secrets"]),
        ({"builds": {"a": {"git": "x"}}}, ["builds.a.image"]),
        ({"builds": {"a": {"git": "x", "image": "r/{tga}"}}}, ["builds.a.image", "{tga}", "tag"]),
        ({"builds": {"a": {"git": "x", "image": "r/UPPER:{tag}"}}}, ["builds.a", "UPPER"]),
        (BUILD | {"dockerfile": "../x"}, ["builds.a.dockerfile", "out of the repository"]),
        (BUILD | {"keep": 0}, ["builds.a.keep", "1"]),
        (BUILD | {"context": "/etc"}, ["builds.a.context", "/etc"]),
        (BUILD | {"timeout": "soon"}, ["builds.a.timeout", "'soon'", "30m"]),
        (BUILD | {"max_context": "1 parsec"}, ["builds.a.max_context", "500MiB"]),
        (BUILD | {"platforms": "linux/aarch64"}, ["builds.a.platforms", "linux/arm64"]),
        (BUILD | {"platforms": "amd64"}, ["builds.a.platforms", "linux/amd64"]),
        (
            BUILD | {"platforms": ["linux/amd64", "linux/arm64", "linux/amd64"]},
            ["builds.a.platforms", "amd64", "twice"],
        ),
        (BUILD | {"secrets": {"a/b": "/x"}}, ["builds.a.secrets", "a/b"]),
        (BUILD | {"supersede": "all"}, ["builds.a.supersede", "waiting"]),
        (BUILD | {"source": {"image": "maven:3", "command": "x", "cahce": "/x"}}, ["builds.a.source.cahce", "'cache'"]),
        (BUILD | {"source": {"image": "maven:3", "command": "x", "cache": "m2"}}, ["builds.a.source.cache", "m2"]),
        (BUILD | {"access": {"key": "x"}}, ["builds.a.access.key", "'key_file'"]),
        ({"registries": {"r": {"username": "u"}}}, ["registries.r", "password"]),
        ({"registries": {"r": {"password": SECRET}}}, ["registries.r", "username"]),
        ({"registries": {"r": {}}}, ["registries.r", "username", "address"]),
        ({"registries": {"r": {"address": f"http://me:{SECRET}@r:5000"}}}, ["registries.r.address", "username"]),
        ({"registries": {"r": {"address": "r:5000"}}}, ["registries.r.address", "http"]),
        ({"registries": {"r": {"address": "http://r:5000/v2"}}}, ["registries.r.address", "http"]),
        (f"hooks: [{SECRET}\n", ["line"]),
    ],
)
def test_what_is_wrong_in_the_file_is_named_and_no_secret_is_told(data, words, tmp_path: Path):
    said = refused(data, tmp_path)
    for word in words:
        assert word in said, said


@pytest.mark.parametrize(
    ("image", "ref", "name"),
    [
        ("r/shop:{version}", "refs/tags/v1.2.0", "r/shop:1.2.0"),
        ("r/shop:{tag}", "refs/tags/v1.2.0", "r/shop:v1.2.0"),
        ("r/shop:{branch}-{short_sha}", "refs/heads/fix/it", "r/shop:fix-it-cccccccccccc"),
        ("r/shop:{version}", "refs/tags/2026+1", "r/shop:2026-1"),
        ("r/shop:{version}-{date}", "refs/heads/main", "r/shop:{version}-{date}"),
    ],
)
def test_an_image_is_named_after_the_pushed_ref(image, ref, name):
    assert BuildConfig(git="x", image=image).image_for(ref, "c" * 40) == name


def test_a_build_may_be_for_several_platforms_and_is_for_the_engines_own_where_none_is_named():
    platforms = ("linux/amd64", "linux/arm/v7")
    assert BuildConfig(git="x", image="r/shop:1", platforms=list(platforms)).recipe().platforms == platforms
    assert BuildConfig(git="x", image="r/shop:1", platforms="linux/arm64").recipe().platforms == ("linux/arm64",)
    assert BuildConfig(git="x", image="r/shop:1").recipe().platforms == ()


def test_a_ref_without_what_the_name_asks_for_is_refused():
    with pytest.raises(UserError, match="refs/heads/main"):
        BuildConfig(git="x", image="r/shop:{tag}").image_for("refs/heads/main", "c" * 40)


def test_a_setting_comes_from_a_secrets_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "url").write_text("postgresql://u:p@h/d\n")
    monkeypatch.setenv("NODEWISE_DATABASE_URL_FILE", str(tmp_path / "url"))
    assert load_settings().database_url == "postgresql://u:p@h/d"


def test_a_wrong_setting_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NODEWISE_WORKER_THREADS", SECRET)
    with pytest.raises(UserError, match="NODEWISE_WORKER_THREADS") as error:
        load_settings()
    assert SECRET not in str(error.value)


def test_a_registry_may_have_a_login_or_an_address_or_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    login = {"username": "u", "password": "p"}
    registries = {"a": login, "b": {"address": "http://b:5000/"}, "c": {**login, "address": "https://c"}}
    (tmp_path / "n.yaml").write_text(yaml.safe_dump({"registries": registries}))
    monkeypatch.setenv("NODEWISE_CONFIG", str(tmp_path / "n.yaml"))
    settings = load_settings()
    assert [settings.registry_auth(name) for name in "abcd"] == [login, None, login, None]
    assert [settings.registry_address(name) for name in "abcd"] == ["", "http://b:5000", "https://c", ""]


def test_the_address_of_prometheus_is_a_default_for_labels_and_goes_before_the_file(monkeypatch, tmp_path: Path):
    (tmp_path / "n.yaml").write_text("defaults: {bake: 1s, gate.prometheus.url: 'http://old:1'}\n")
    monkeypatch.setenv("NODEWISE_CONFIG", str(tmp_path / "n.yaml"))
    assert load_settings().label_defaults == {"bake": "1s", "gate.prometheus.url": "http://old:1"}
    monkeypatch.setenv("NODEWISE_PROMETHEUS_URL", "https://prom.example.org/prefix")
    assert load_settings().label_defaults == {"bake": "1s", "gate.prometheus.url": "https://prom.example.org/prefix"}


@pytest.mark.parametrize("url", [f"http://me:{SECRET}@prom:9090", f"prom:{SECRET}", "http://", f"http://p/?k={SECRET}"])
def test_an_address_of_prometheus_that_holds_a_login_or_is_none_is_refused(url, monkeypatch: pytest.MonkeyPatch):
    """It becomes a part of every plan, and plans are stored."""
    monkeypatch.setenv("NODEWISE_PROMETHEUS_URL", url)
    with pytest.raises(UserError, match=r"NODEWISE_PROMETHEUS_URL.*without a login") as error:
        load_settings()
    assert SECRET not in str(error.value)


def test_managers_are_listed_with_commas(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NODEWISE_DOCKER_HOSTS", "unix:///a, tcp://b:2376,")
    assert load_settings().docker_hosts == ("unix:///a", "tcp://b:2376")


def test_labels_are_read_over_the_defaults_of_the_file():
    labels = read_labels({"nodewise.bake": "5s", "other": "x"}, {"track": "semver:^1", "bake": "1m"})
    assert (str(labels.track), labels.bake, labels.problems) == ("semver:^1", 5.0, ())


@pytest.mark.parametrize(
    ("label", "value", "nearest"),
    [
        ("nodewise.trak", "same", "nodewise.track"),
        ("nodewise.track", "semvre:^1", "semver"),
        ("nodewise.bake", "soon", ""),
        ("nodewise.strategy", "roling", "rolling"),
        ("nodewise.gate.http.url", "not a url", ""),
        ("nodewise.gate.http.successes", "0", ""),
    ],
)
def test_a_wrong_label_is_a_problem_with_name_value_and_the_nearest_right_one(label, value, nearest):
    (problem,) = read_labels({label: value}, {}).problems
    assert (problem.label, problem.value, problem.nearest) == (label, value, nearest)
    assert problem.allowed


@pytest.mark.parametrize(
    "labels",
    [{"strategy": "cells"}, {"on_failure": "pause"}, {"strategy": "cells", "on_failure": "pause"}],
)
def test_labels_that_contradict_each_other_are_at_their_defaults(labels):
    found = read_labels({f"nodewise.{k}": v for k, v in labels.items()}, {})
    assert [p.label for p in found.problems] == [f"nodewise.{name}" for name in labels]
    assert (found.strategy, found.on_failure) == ("rolling", "rollback")


def test_every_label_has_a_meaning_and_says_what_is_allowed():
    assert all(label.meaning and label.allowed for label in LABELS.values())


@pytest.mark.parametrize(("given", "size"), [(None, 2**30), ("300MiB", 300 * 2**20), ("0", 0)])
def test_how_much_space_a_build_needs_is_a_size(monkeypatch: pytest.MonkeyPatch, given, size):
    if given is not None:
        monkeypatch.setenv("NODEWISE_BUILD_MIN_FREE", given)
    assert load_settings().build_min_free == size


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("BUILD_MIN_FREE", "much", "1GiB"),
        ("CLEAN_IMAGE", "Docker CLI", "image name"),
        ("CLEAN_SOCKET", "tcp://node:2375", "CLEAN_SOCKET"),
        ("CLEAN_SOCKET", "/run/docker.sock:ro", "CLEAN_SOCKET"),
    ],
)
def test_what_cleaning_cannot_work_with_is_told_at_the_start(monkeypatch: pytest.MonkeyPatch, name, value, words):
    monkeypatch.setenv(f"NODEWISE_{name}", value)
    with pytest.raises(UserError, match=f"NODEWISE_{name}") as error:
        load_settings()
    assert words in str(error.value)


def test_nothing_is_removed_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert not load_settings().cleans
    (tmp_path / "n.yaml").write_text(yaml.safe_dump(BUILD | {"keep": 3}))
    monkeypatch.setenv("NODEWISE_CONFIG", str(tmp_path / "n.yaml"))
    assert (load_settings().cleans, load_settings().keep) == (True, {"a": 3})

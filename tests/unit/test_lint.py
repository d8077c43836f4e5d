"""lint: everything that is wrong in a file is told, with its place, the value and the way out; never a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodewise.config.lint import Report, lint
from nodewise.config.variables import Unset, fill_in

SECRET = "hunter2-and-more"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def look(tmp_path: Path):
    def at(text: str, **environment: str) -> Report:
        path = tmp_path / "file.yaml"
        path.write_text(text)
        (report,) = lint([path], environment)
        assert SECRET not in repr(report)
        return report

    return at


def told(report: Report) -> list[tuple[int, str, str]]:
    return [(f.line, f.path, f.value) for f in report.findings]


def test_every_error_is_told_with_its_line_its_path_and_its_value(look) -> None:
    report = look(
        "hooks:\n"
        f"  shop: {{provider: githup, secrets: [{SECRET}]}}\n"
        "  git:\n"
        "    provider: git\n"
        f"    secret: {SECRET}\n"
        "builds:\n"
        "  shop:\n"
        "    git: x\n"
        f"    args: {{TOKEN: [{SECRET}]}}\n"
        "registries:\n"
        f"  ghcr.io: {{username: bot, password: [{SECRET}]}}\n"
        "defaults:\n"
        "  bake: soon\n"
    )
    assert not report.ok
    assert told(report) == [
        (2, "hooks.shop.provider", "githup"),
        (5, "hooks.git.secret", ""),
        (7, "builds.shop.image", ""),
        (9, "builds.shop.args.TOKEN", ""),
        (11, "registries.ghcr.io.password", ""),
        (13, "defaults.bake", "soon"),
    ]
    words = " ".join(f"{f.what} {f.hint}" for f in report.findings)
    for word in ("did you mean 'github'?", "did you mean 'secrets'?", "Image name", "a duration such as 250ms"):
        assert word in words


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("hooks: [\n", "no YAML: line 2"),
        ("- hooks\n", "no mapping"),
        ("hooks:\n  a/b: {provider: git, secrets: [x]}\n", "a part of its address"),
        ("registries:\n  https://ghcr.io: {username: u, password: x}\n", "is no host"),
        ("builds: {}\nhooks: {}\nbuilds: {}\n", "is given twice"),
        ("services: [web]\n", "no mapping of names to services"),
    ],
)
def test_what_cannot_be_meant_is_an_error(look, text: str, word: str) -> None:
    report = look(text)
    assert not report.ok
    assert word in report.findings[0].what


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    (report,) = lint([tmp_path / "none.yaml"], {})
    assert not report.ok
    assert "No such file" in report.findings[0].what


def test_when_all_is_well_it_says_what_is_configured_and_no_login(look) -> None:
    report = look(
        f"hooks: {{shop: {{provider: github, secrets: [{SECRET}, {SECRET}2]}}}}\n"
        f"builds: {{shop: {{git: 'https://me:{SECRET}@git.example.org/shop.git', image: 'r/shop:{{tag}}'}}}}\n"
        f"registries: {{ghcr.io: {{username: bot, password: {SECRET}}}}}\n"
        "defaults: {bake: 5s}\n"
    )
    assert report.ok
    assert report.configured == (
        "hook shop: github, at /hooks/github/shop, 2 secrets",
        "build shop: https://git.example.org/shop.git (refs/heads/main) becomes r/shop:{tag}",
        "registry ghcr.io: login of bot",
        "default bake: 5s",
    )
    assert look("").configured == ("nothing is configured",)


def test_a_secrets_file_that_is_not_here_is_a_warning(look, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    files = f"[{tmp_path}/there, {tmp_path}/away]"
    report = look(f"hooks:\n  git: {{provider: git, secrets_files: {files}}}\n")
    assert report.ok
    assert told(report) == [(2, "hooks.git.secrets_files", f"{tmp_path}/away")]


STACK = """
x-labels: &common
  nodewise.trak: same
services:
  web:
    labels: {nodewise.track: same}
    deploy:
      labels:
        <<: *common
        nodewise.strategy: roling
        nodewise.bake: ${BAKE}
        nodewise.prepull: true
  db:
    deploy:
      labels: ["nodewise.track=semver:^1", "nodewise.on_failure=pause", "traefik.enable=$$x"]
  redis: {}
"""


def test_the_labels_of_a_stack_file_are_checked_service_by_service(look) -> None:
    report = look(STACK, BAKE="soon")
    labels = "services.web.deploy.labels.nodewise"
    assert sorted((f.path, f.value, f.warning) for f in report.findings) == [
        ("services.db.deploy.labels.nodewise.on_failure", "pause", False),
        (f"{labels}.bake", "soon", False),
        (f"{labels}.prepull", "true", True),
        (f"{labels}.strategy", "roling", False),
        (f"{labels}.trak", "same", False),
        ("services.web.labels.nodewise.track", "same", False),
    ]
    hints = {f.path: f.hint for f in report.findings}
    assert hints[f"{labels}.trak"] == "did you mean 'nodewise.track'?"
    assert hints["services.web.labels.nodewise.track"] == "move it to services.web.deploy.labels"


def test_a_variable_that_is_not_set_is_a_warning_and_a_lone_dollar_sign_an_error(look) -> None:
    stack = "services:\n  web:\n    deploy:\n      labels:\n        nodewise.{}\n"
    assert look(stack.format("bake: ${BAKE}")).ok
    assert look(stack.format("bake: ${BAKE:-5s}")).findings == ()
    assert not look(stack.format("track: 'regex:^v1$'")).ok
    assert look(stack.format("track: 'regex:^v1$$'")).findings == ()


def test_a_stack_file_that_is_well_says_what_follows_what(look) -> None:
    report = look(
        "services:\n"
        "  web: {deploy: {labels: {nodewise.track: 'semver:^1.4', nodewise.gate.http.url: 'http://{node}:80/'}}}\n"
        "  redis: {deploy: !reset null}\n"
    )
    assert report.configured == (
        "service web: follows semver:^1.4, rolling, gates: container, http",
        "without nodewise.track, so no event touches them: redis",
    )


def test_labels_are_read_over_the_defaults_of_a_nodewise_yaml_given_along(tmp_path: Path) -> None:
    own, stack = tmp_path / "nodewise.yaml", tmp_path / "stack.yml"
    own.write_text("defaults: {strategy: staged}\n")
    stack.write_text("services: {web: {deploy: {labels: {nodewise.on_failure: pause}}}}\n")
    assert not lint([stack], {})[0].ok, "rolling cannot be held half-way"
    assert all(report.ok for report in lint([stack, own], {}))


def test_what_is_wrong_with_the_defaults_is_told_once(tmp_path: Path) -> None:
    own, stack = tmp_path / "nodewise.yaml", tmp_path / "stack.yml"
    own.write_text("defaults: {bake: soon}\n")
    stack.write_text("services: {web: {deploy: {labels: {nodewise.track: same}}}, db: {}}\n")
    assert [len(report.findings) for report in lint([own, stack], {})] == [1, 0]


def test_the_files_that_are_shipped_are_well() -> None:
    assert [r.findings for r in lint([ROOT / "docker-compose.yml"], {})] == [()]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a$$b", "a$b"),
        ("$SET-${SET}", "x-x"),
        ("${EMPTY-other}${EMPTY:-other}", "other"),
        ("${NONE-}", ""),
        ("${SET:+y}${NONE+y}", "y"),
        ("${SET:?needed}", "x"),
    ],
)
def test_variables_are_filled_in_as_docker_does(text: str, value: str) -> None:
    assert fill_in(text, {"SET": "x", "EMPTY": ""}) == value


@pytest.mark.parametrize("text", ["${NONE}", "$NONE", "${NONE:?needed}", "${EMPTY:?needed}"])
def test_a_variable_that_is_needed_and_not_set_is_told(text: str) -> None:
    with pytest.raises(Unset):
        fill_in(text, {"EMPTY": ""})


@pytest.mark.parametrize("text", ["$", "a$-", "${}", "${1}", "${A"])
def test_a_dollar_sign_that_begins_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        fill_in(text, {})

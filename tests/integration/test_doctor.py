"""doctor: what is not well is found, named, and told with what to do. Real web process, store and HTTP."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from nodewise import tokens
from nodewise.adapters.builds.builder import DockerBuilder
from nodewise.answers.builds import check_builds
from nodewise.answers.callers import check_rejected, check_tokens
from nodewise.answers.examination import examine
from nodewise.answers.managers import check_manager
from nodewise.answers.reach import check_web
from nodewise.answers.registries import check_registries
from nodewise.answers.secrets import check_secrets
from nodewise.bootstrap import Deps, build_managers
from nodewise.cli import app
from nodewise.config.file import FileConfig
from nodewise.config.settings import load_settings
from nodewise.domain.delivery import NewDelivery, Verdict
from nodewise.testing.clock import ManualClock
from tests.integration.doctor_parts import engine, named, registry
from tests.integration.registry_parts import BASIC, Reply, scripted
from tests.integration.standing_swarm import OnSwarm, service
from tests.integration.swarm_parts import LOGIN
from tests.integration.web_parts import serving
from tests.unit.swarm_values import OLD
from webhooks import recipe
from webhooks.provider import names
from workers.web import make_web_app

SHOP = "hooks: {shop: {provider: github, secrets: [a-long-word]}}"
DAY = 86400.0


def with_hooks(deps: Deps, **hooks: dict) -> Deps:
    """What nodewise.yaml says now, while a web process that was started before goes on with what it said then."""
    changed = deps.settings.model_copy()
    changed.__dict__["file"] = FileConfig.model_validate({"hooks": hooks})
    return replace(deps, settings=changed)


# -- hooks -------------------------------------------------------------------------------------------------


def test_hooks_of_every_provider_turn_away_what_is_not_signed_and_asking_counts_nowhere(
    on_swarm: OnSwarm, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("a-long-word")
    hooks = {name: recipe.make(name, name, "http://x", str(tmp_path / "secret")).config for name in names()}
    deps = on_swarm(config=yaml.safe_dump({"hooks": hooks}))
    with serving(make_web_app(deps)) as url:
        web, told = check_web(url, deps.settings.hooks)
    assert (web.ok, told.ok, told.hint) == (True, True, "")
    assert all(name in told.detail for name in names())
    assert deps.store.rejected() == []
    assert deps.store.deliveries() == []


def test_a_hook_that_the_running_web_process_does_not_know_asks_for_a_new_start(on_swarm: OnSwarm) -> None:
    deps = on_swarm(config=SHOP)
    now = with_hooks(deps, shop={"provider": "github", "secrets": ["x"]}, new={"provider": "git", "secrets": ["x"]})
    with serving(make_web_app(deps)) as url:
        _, wrong = check_web(url, now.settings.hooks)
    assert (wrong.ok, wrong.detail) == (False, "the running web process knows no /hooks/git/new")
    assert "start it anew" in wrong.hint


def test_a_secret_that_the_web_process_cannot_read_is_told_by_its_hook(on_swarm: OnSwarm) -> None:
    deps = on_swarm(config="hooks: {shop: {provider: github, secrets_files: [/nowhere/shop]}}")
    with serving(make_web_app(deps)) as url:
        _, wrong = check_web(url, deps.settings.hooks)
    assert (wrong.ok, wrong.detail) == (False, "the web process cannot read the secret of shop")


def test_hooks_are_not_asked_where_no_web_process_answers(on_swarm: OnSwarm) -> None:
    deps = on_swarm(config=SHOP)
    (check,) = check_web(f"http://{deps.settings.listen}", deps.settings.hooks)
    assert (check.name, check.ok) == ("web", False)
    assert "nodewise up" in check.hint


def test_a_hook_that_turns_its_sender_away_is_told_until_it_lets_one_in(on_swarm: OnSwarm) -> None:
    deps = on_swarm(config=SHOP)
    assert list(check_rejected(deps)) == []
    deps.store.count_rejected("github", "shop", "wrong signature", deps.clock.now() - 1)
    (check,) = check_rejected(deps)
    assert "shop has turned away 1 in all" in check.detail
    assert "compare the secret" in check.hint
    deps.store.accept(NewDelivery("github", "shop", "k", Verdict.PING, b""), deps.clock.now())
    assert list(check_rejected(deps)) == []


# -- secrets -----------------------------------------------------------------------------------------------


def test_secrets_that_are_missing_open_to_all_or_shared_are_told(on_swarm: OnSwarm, tmp_path: Path) -> None:
    (tmp_path / "open").write_text("the-same-word")
    (tmp_path / "closed").write_text("the-same-word")
    (tmp_path / "open").chmod(0o644)
    (tmp_path / "closed").chmod(0o600)
    hooks = {n: {"provider": "git", "secrets_files": [str(tmp_path / n)]} for n in ("open", "closed", "missing")}
    found = list(check_secrets(on_swarm(config=yaml.safe_dump({"hooks": hooks})).settings))
    assert [(c.ok, c.detail.replace(str(tmp_path), "")) for c in found] == [
        (False, "hook missing: secrets_files: /missing cannot be read: FileNotFoundError"),
        (True, "everybody on this machine can read /open"),
        (True, "the hooks closed, open share a secret"),
    ]
    assert f"chmod o-rwx {tmp_path}/open" in found[1].hint
    assert all(c.hint and "the-same-word" not in repr(c) for c in found)


def test_secrets_in_a_configuration_that_everybody_reads_are_told_and_files_that_are_well_too(
    on_swarm: OnSwarm, tmp_path: Path
) -> None:
    deps = on_swarm(config=SHOP)
    file = deps.settings.config
    assert file is not None
    file.chmod(0o644)
    (check,) = check_secrets(deps.settings)
    assert check.detail == f"everybody on this machine can read {file}"
    (tmp_path / "closed").write_text("word")
    (tmp_path / "closed").chmod(0o600)
    kept = with_hooks(deps, git={"provider": "git", "secrets_files": [str(tmp_path / "closed")]})
    (well,) = check_secrets(kept.settings)
    assert (well.ok, well.hint) == (True, "")


# -- tokens ------------------------------------------------------------------------------------------------


def test_without_a_token_that_may_administer_it_is_told_how_to_get_one(on_swarm: OnSwarm, tmp_path: Path) -> None:
    deps = on_swarm()
    tokens.create(deps, "laptop", ["read"], "test")
    first, _ = check_tokens(deps, tokens.ADMIN_NAME, tmp_path / "none")
    assert (first.ok, first.detail) == (False, "no token may administer")
    file = tokens.ensure_admin_token(deps)
    (check,) = check_tokens(deps, tokens.ADMIN_NAME, file)
    assert (check.ok, check.detail, check.hint) == (True, "2 valid", "")
    file.chmod(0o644)
    assert "chmod 600" in next(check_tokens(deps, tokens.ADMIN_NAME, file)).hint


def test_tokens_that_nobody_uses_and_old_ones_are_worth_a_look(on_swarm: OnSwarm, tmp_path: Path) -> None:
    clock = ManualClock(1000 * DAY)
    deps = replace(on_swarm(), clock=clock)
    tokens.ensure_admin_token(deps)
    used = tokens.create(deps, "used", ["admin"], "test")
    tokens.create(deps, "unused", ["read"], "test")
    clock.advance(8 * DAY)
    tokens.recognise(deps, used)
    found = list(check_tokens(deps, tokens.ADMIN_NAME, tmp_path / "none"))
    assert [c.detail for c in found] == ["not used for long, or never: unused"]
    tokens.revoke(deps, "unused", "test")
    clock.advance(400 * DAY)
    tokens.recognise(deps, used)
    found = list(check_tokens(deps, tokens.ADMIN_NAME, tmp_path / "none"))
    assert [(c.ok, c.detail) for c in found] == [(True, "older than a year: used")]


# -- managers and clocks -----------------------------------------------------------------------------------


def asked(deps: Deps, monkeypatch: pytest.MonkeyPatch, host: str) -> list:
    monkeypatch.setenv("NODEWISE_DOCKER_HOSTS", host)
    ((_, manager),) = build_managers(load_settings()).items()
    return list(check_manager(deps, host, manager))


def test_a_manager_that_answers_with_the_right_time_is_well(on_swarm: OnSwarm, monkeypatch) -> None:
    with engine() as host:
        (check,) = asked(on_swarm(), monkeypatch, host)
    assert (check.ok, check.detail, check.hint) == (True, f"{host} answers, Docker 20.10.24", "")


def test_a_manager_whose_clock_is_off_is_told_with_the_hooks_that_it_hurts(on_swarm: OnSwarm, monkeypatch) -> None:
    deps = on_swarm(config="hooks: {code: {provider: git, secrets: [word]}}")
    with engine(off=-600.0) as host:
        well, clock = asked(deps, monkeypatch, host)
    assert (well.ok, clock.name, clock.ok) == (True, "clock", False)
    assert clock.detail == f"this machine's clock is 10 min ahead of that of the manager {host}"
    assert clock.hint.endswith("nothing of a right clock gets in by code")


@pytest.mark.parametrize(
    ("options", "word"),
    [({"manager": False}, "docker node promote"), ({"tls": True}, "it asks for TLS")],
)
def test_an_engine_that_cannot_be_used_is_told_with_the_way_out(
    on_swarm: OnSwarm, monkeypatch, options: dict, word: str
) -> None:
    with engine(**options) as host:
        (check,) = asked(on_swarm(), monkeypatch, host)
    assert not check.ok
    assert check.detail.startswith(f"{host}: ")
    assert word in check.hint


def test_an_engine_that_is_away_is_told_by_its_address(on_swarm: OnSwarm, monkeypatch, tmp_path: Path) -> None:
    (check,) = asked(on_swarm(), monkeypatch, f"unix://{tmp_path}/none.sock")
    assert (check.ok, check.detail) == (False, f"unix://{tmp_path}/none.sock: No such file or directory")
    assert "whether Docker runs there" in check.hint


# -- builds ------------------------------------------------------------------------------------------------


def test_an_engine_that_builds_and_the_files_of_a_build_are_looked_at(on_swarm: OnSwarm, tmp_path: Path) -> None:
    (tmp_path / "known_hosts").touch()
    access = {"key_file": f"{tmp_path}/no-key", "known_hosts_file": f"{tmp_path}/known_hosts"}
    build = {"git": "x", "image": "r/shop:{sha}", "access": access, "secrets": {"npm": f"{tmp_path}/no-npmrc"}}
    deps = on_swarm(config=yaml.safe_dump({"builds": {"shop": build}}))
    with engine() as host:
        builders = {name: DockerBuilder(name, lambda _: None) for name in (host, f"unix://{tmp_path}/none.sock")}
        found = list(check_builds(replace(deps, builders=builders)))
    assert [(check.name, check.ok) for check in found] == [
        ("builder", True),
        ("builder", False),
        ("builds", False),
        ("builds", False),
    ]
    assert found[0].detail == f"{host} answers"
    assert "none.sock" in found[1].detail
    assert found[2].detail == f"builds.shop.access.key_file: {tmp_path}/no-key cannot be read"
    assert found[3].detail == f"builds.shop.secrets.npm: {tmp_path}/no-npmrc cannot be read"


def test_where_nothing_is_built_no_engine_is_asked(on_swarm: OnSwarm) -> None:
    assert list(check_builds(on_swarm())) == []


# -- registries --------------------------------------------------------------------------------------------


def test_a_registry_that_only_a_login_names_is_asked_and_one_that_is_away_is_worth_a_look(on_swarm: OnSwarm) -> None:
    with registry() as host, registry(status=404) as other:
        logins = {name: {"username": "u", "password": "p"} for name in (host, other, "127.0.0.1:1")}
        found = list(check_registries(on_swarm(config=yaml.safe_dump({"registries": logins})), []))
    assert all(check.ok for check in found)
    assert {check.detail: bool(check.hint) for check in found} == {
        f"{host} answers this machine": False,
        f"{other} answers, but not like a registry (HTTP 404) (asked from this machine)": True,
        "the registry 127.0.0.1:1 does not answer: Connection refused (asked from this machine)": True,
    }


def test_a_registry_is_asked_at_its_address_with_its_login(on_swarm: OnSwarm) -> None:
    with scripted() as there:
        there.reply = lambda a: Reply(200 if a.login == BASIC else 401, headers={"WWW-Authenticate": "Basic"})
        at = {"address": f"http://{there.name}"}
        logins = {"known.test": {**LOGIN, **at}, "unknown.test": {**LOGIN, **at, "password": "old"}, "open.test": at}
        found = list(check_registries(on_swarm(config=yaml.safe_dump({"registries": logins})), []))
    refused = f"the registry unknown.test refuses its login (asked from this machine at http://{there.name})"
    assert {check.detail: check.hint for check in found} == {
        "known.test answers this machine": "",
        "open.test answers this machine": "",
        refused: "set its login under 'registries:' in nodewise.yaml",
    }
    assert set(there.asked) == {"GET /v2/"}


@pytest.mark.parametrize(("every", "told"), [("300", True), ("0", False)])
def test_a_registry_that_only_engines_can_reach_is_told_where_catch_up_would_ask_it(
    on_swarm: OnSwarm, every: str, told: bool
) -> None:
    deps = on_swarm(NODEWISE_CATCH_UP=every)
    found = list(check_registries(deps, [f"127.0.0.1:1/web:1@{OLD}"]))
    assert [check.ok for check in found] == [True, True][: 1 + told]
    assert found[0].detail == "127.0.0.1:1 answers the managers"
    assert all("'address' under 'registries:'" in check.hint for check in found[1:])


def test_a_registry_of_a_service_is_asked_by_the_engines_and_its_clock_by_this_machine(on_swarm: OnSwarm) -> None:
    with registry(off=60.0) as host:
        found = list(check_registries(on_swarm(), [f"{host}/web:1@{OLD}", f"{host}/other:1"]))
    assert [(c.name, c.ok, c.detail) for c in found] == [
        ("registry", True, f"{host} answers the managers"),
        ("clock", False, found[1].detail),
    ]
    assert f"behind that of the registry {host}" in found[1].detail


# -- all of it ---------------------------------------------------------------------------------------------


def test_everything_is_looked_at_and_what_is_well_says_so(on_swarm: OnSwarm) -> None:
    with registry() as host, engine() as manager:
        image = {"ContainerSpec": {"Image": f"{host}/web:1@{OLD}"}}
        web = service("web", labels={"track": "same"}, TaskTemplate=image)
        deps = on_swarm(web, config=SHOP, NODEWISE_DOCKER_HOSTS=manager)
        own = tokens.ADMIN_NAME, tokens.ensure_admin_token(deps)
        assert deps.settings.config is not None
        deps.settings.config.chmod(0o600)
        with serving(make_web_app(deps)) as url:
            found = list(examine(deps, url, build_managers(deps.settings), own))
    wrong = [c for c in found if not c.ok or c.hint]
    assert [c.name for c in wrong] == ["worker"], "nothing else is away"
    assert [c.name for c in found] == [
        *("settings", "store", "worker", "outbox", "tokens", "web", "hooks", "manager", "swarm", "labels", "registry")
    ]


def test_with_every_manager_away_each_is_told_and_the_swarm_is_not_asked(on_swarm: OnSwarm, tmp_path: Path) -> None:
    hosts = f"unix://{tmp_path}/a.sock,unix://{tmp_path}/b.sock"
    deps = on_swarm(service("web"), NODEWISE_DOCKER_HOSTS=hosts)
    found = list(examine(deps, "http://127.0.0.1:1", build_managers(deps.settings), ("x", tmp_path / "none")))
    assert [c.detail.partition(": ")[0] for c in named(found, "manager")] == hosts.split(",")
    assert not named(found, "swarm")
    assert not named(found, "labels")


def test_as_typed_it_says_what_to_do_and_fails_while_something_is_not_well(on_swarm: OnSwarm) -> None:
    on_swarm(config="")
    shown = CliRunner().invoke(app, ["doctor"])
    assert shown.exit_code == 1
    told = " ".join(shown.stdout.split())
    assert "settings data in" in told
    assert "'nodewise hook add PROVIDER' begins one" in told
    assert "see whether Docker runs there" in told
    assert "checks failed" in told
    checks = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)["checks"]
    assert {c["name"] for c in checks} >= {"settings", "store", "tokens", "web", "manager"}
    assert all(c["hint"] for c in checks if not c["ok"])


def test_settings_that_cannot_be_read_end_the_list(on_swarm: OnSwarm) -> None:
    file = on_swarm(config="").settings.config
    assert file is not None
    file.write_text("hoks: {}")
    shown = CliRunner().invoke(app, ["doctor", "--json"])
    (check,) = json.loads(shown.stdout)["checks"]
    assert (shown.exit_code, check["name"], check["ok"]) == (1, "settings", False)

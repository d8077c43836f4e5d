"""The verbs about a rollout on its way, as typed: what is printed, and exit code 0 only when it has happened."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodewise.domain.model import Phase
from nodewise.domain.steps import StepState
from tests.integration.standing_swarm import StandingSwarm, service
from tests.integration.test_control import IMAGE, add_staging
from tests.integration.web_parts import SERVICE, Api, Run, add_moving, change, end, open_api
from tests.product import ROOT, wait_for
from tests.unit.swarm_values import NEW


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    with open_api(tmp_path, monkeypatch, StandingSwarm(service(SERVICE))) as opened:
        yield opened


def test_pausing_and_resuming_say_what_holds_and_how_to_go_on(api: Api, run: Run) -> None:
    add_staging(api, StepState.PASSED, StepState.MOVING)
    paused = run("pause", "r-1")
    assert paused.exit_code == 0
    assert f"r-1 of {SERVICE}: held: paused by api:tester; go on with: nodewise resume r-1" in paused.stdout
    resumed = run("resume", "r-1")
    assert (resumed.exit_code, resumed.stdout) == (0, f"r-1 of {SERVICE}: goes on\n  nodewise watch r-1\n")
    again = run("resume", "r-1")
    assert (again.exit_code, again.stdout) == (1, "")
    assert "r-1 is not paused" in again.stderr


def test_approving_says_what_for_and_another_digest_is_refused(api: Api, run: Run) -> None:
    add_staging(api, StepState.PASSED, StepState.WAITING)
    refused = run("approve", "r-1", "--digest", "sha256:" + "c" * 64)
    assert refused.exit_code == 1
    assert "approve what you have looked at" in refused.stderr
    done = run("approve", "r-1", "--digest", NEW)
    assert done.exit_code == 0
    assert f"stage 1 is approved for {NEW}" in done.stdout
    assert run("approve", "r-1").exit_code == 1


def test_an_abort_is_waited_for_and_has_happened_only_if_the_rollout_ended_so(api: Api, run: Run) -> None:
    for phase, code in ((Phase.ABORTED, 0), (Phase.CHANGED, 1)):
        rollout = f"r-{code + 1}"
        add_moving(api.deps, rollout, f"service-{code}")

        def ended(rollout: str = rollout, phase: Phase = phase) -> None:
            wait_for("the abort", lambda: getattr(api.deps.store.rollout(rollout), "abort", ""), 20)
            end(api.deps, rollout, phase)

        worker = threading.Thread(target=ended)
        worker.start()
        done = run("abort", rollout)
        worker.join(20)
        assert done.exit_code == code, done.output


def test_an_abort_that_is_not_waited_for_has_been_taken_in(api: Api, run: Run) -> None:
    add_moving(api.deps)
    done = run("abort", "r-1", "--no-wait")
    assert done.exit_code == 0
    assert "its end was asked for by api:tester" in done.stdout


def test_locking_and_unlocking_are_told_and_shown_by_status(run: Run) -> None:
    locked = run("lock", SERVICE, "--reason", "the database moves")
    assert (locked.exit_code, locked.stdout) == (
        0,
        f"{SERVICE} is locked by api:tester: the database moves\n  nodewise unlock {SERVICE}\n",
    )
    status = run("status")
    assert "locked, until 'nodewise unlock SERVICE':" in status.stdout
    assert re.search(rf"{SERVICE}: locked by api:tester, \d+ s ago: the database moves", status.stdout)
    assert "the database moves" in run("status", SERVICE).stdout
    unlocked = run("unlock", SERVICE)
    assert (unlocked.exit_code, unlocked.stdout) == (0, f"{SERVICE} is unlocked: 1 lock taken away\n")
    assert run("unlock", SERVICE).exit_code == 1


def test_a_plan_is_shown_and_what_would_be_refused_is_an_error(run: Run) -> None:
    shown = run("plan", SERVICE, IMAGE)
    assert shown.exit_code == 0
    assert "rolling: one update of the service" in shown.stdout
    assert "UpdateConfig.Parallelism" in shown.stdout
    refused = run("plan", SERVICE, "reg:5000/web:9")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "the registry has no reg:5000/web:9" in refused.stderr
    assert run("plan", SERVICE, "Reg/Web:").exit_code == 2


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("pause", "r-1"), "held"),
        (("approve", "r-1"), "approvals"),
        (("abort", "r-1", "--no-wait"), "abort"),
        (("plan", SERVICE, IMAGE), "stages"),
        (("lock", SERVICE), "reason"),
    ],
)
def test_json_is_all_that_is_printed_for_scripts(api: Api, run: Run, words: tuple[str, ...], key: str) -> None:
    add_staging(api, StepState.PASSED, StepState.WAITING)
    done = run(*words, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)[key]


def test_resume_and_unlock_print_json_too(api: Api, run: Run) -> None:
    add_staging(api, StepState.PASSED, StepState.MOVING, held="by ann")
    assert json.loads(run("resume", "r-1", "--json").stdout)["held"] == ""
    run("lock", SERVICE)
    assert json.loads(run("unlock", SERVICE, "--json").stdout) == {"service": SERVICE, "locks": 1}


def test_on_the_store_itself_stdout_is_the_answer_and_nothing_else(api: Api) -> None:
    add_staging(api, StepState.PASSED, StepState.WAITING)
    typed = [sys.executable, "-m", "workers.main", "--local", "approve", "r-1", "--json"]
    done = subprocess.run(typed, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["approvals"][0]["who"].startswith("local")


def test_watching_tells_the_app_and_what_is_asked_for_line_by_line(api: Api, run: Run) -> None:
    add_staging(api, StepState.PASSED, StepState.WAITING, app_rollout="g-1")
    add_moving(api.deps, "r-2", "worker")
    change(api.deps, "r-2", phase=Phase.WAITING, app_rollout="g-1", stage=1)
    end(api.deps, "r-1", Phase.ABORTED, reason="nobody approved stage 1")
    shown = run("watch", "r-1")
    assert shown.exit_code == 1
    assert "app rollout g-1, stage 1: worker waiting" in shown.stdout
    assert "aborted: the service was not touched" in shown.stdout
    assert "nobody approved stage 1" in shown.stdout

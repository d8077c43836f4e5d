"""Cleaning nodes: one job on each of them removes the images that nobody needs. What it is told, and what next. Pure.

A job for each node, as for chores, and no global one: swarm makes the failed tasks of that anew without end. All that
is known of a round are its jobs, which bear a label and stay until its end: whoever comes next goes on with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nodewise.domain.chores import AT_ONCE, ENDED
from nodewise.domain.helpers import ONCE, dns_part
from nodewise.domain.images import ImageName
from nodewise.domain.retention import Needed
from nodewise.domain.swarm import HELPER_LABEL, NodeView, ServiceView, Spec, TaskView

PURPOSE = "clean"
UNTIL_LABEL = "nodewise.until"  # seconds since the epoch, after which the job removes nothing more
LONGEST = 300  # seconds that a job may take, its image's pull included
MOST = 100_000  # characters of a variable: Linux takes 128 KiB (execve(2), MAX_ARG_STRLEN)
SHORT = 16  # digits of a digest: two that begin alike both stay
_SOCKET = "/var/run/docker.sock"
_SAID = "removed "

# Names come as variables and are never part of the script. An image with a tag is somebody's own, such as one that was
# built there: swarm pulls by digest and sets none. An engine refuses to remove what a container has, stopped or not.
SCRIPT = f"""\
docker image ls --digests --no-trunc --format '{{{{.Repository}}}} {{{{.Tag}}}} {{{{.Digest}}}}' |
while read -r repository tag digest; do
    [ "$tag" = '<none>' ] || continue
    case " $NODEWISE_REPOSITORIES " in *" $repository "*) ;; *) continue ;; esac
    hex="${{digest#*:}}"
    case "$hex" in '' | *[!0-9a-f]*) continue ;; esac
    case " $NODEWISE_KEEP " in *" $(printf '%.{SHORT}s' "$hex") "*) continue ;; esac
    [ "$(date +%s)" -lt "$NODEWISE_UNTIL" ] || break
    docker image rm "$repository@$digest" >/dev/null 2>&1 && echo "{_SAID}$repository@$digest"
done
docker version --format . >/dev/null
"""


@dataclass(frozen=True, slots=True)
class Order:
    """What a job is told. ``repositories``: as engines list them; only their images are removed. ``keep``: the
    beginnings of the digests that stay. ``image``: what runs the script, ``socket``: where a node's engine listens.
    """

    image: str
    socket: str
    repositories: frozenset[str]
    keep: frozenset[str]

    @property
    def variables(self) -> Mapping[str, str]:
        return {
            "DOCKER_HOST": f"unix://{_SOCKET}",
            "NODEWISE_REPOSITORIES": " ".join(sorted(self.repositories)),
            "NODEWISE_KEEP": " ".join(sorted(self.keep)),
        }

    @property
    def too_long(self) -> bool:
        return any(len(value) > MOST for value in self.variables.values())


def order(image: str, socket: str, known: Iterable[str], needed: Needed) -> Order:
    """*known*: the repositories on record."""
    names = (str(ImageName.parse(repository)) for repository in set(known) - needed.repositories)
    return Order(image, socket, frozenset(names), frozenset(map(_short, needed.digests)))


def job_spec(order: Order, node: NodeView, now: float) -> Spec:
    """The job on *node*. It bears no rollout's mark, since it is no rollout's."""
    until = str(int(now) + LONGEST)
    return {
        "Name": f"nodewise-clean-{dns_part(node.name)}-{node.id[-5:].lower()}",
        "Labels": {HELPER_LABEL: f"{PURPOSE}.{node.id}", UNTIL_LABEL: until},
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": order.image,
                "Command": ["sh", "-c", SCRIPT],
                "Env": [f"{name}={value}" for name, value in {**order.variables, "NODEWISE_UNTIL": until}.items()],
                "Healthcheck": {"Test": ["NONE"]},
                "Mounts": [{"Type": "bind", "Source": order.socket, "Target": _SOCKET}],
            },
            "RestartPolicy": {"Condition": "none"},
            "Placement": {"Constraints": [f"node.id=={node.id}"]},
        },
        "Mode": dict(ONCE),
    }


@dataclass(frozen=True, slots=True)
class CleanJob:
    """One job, with the task of it that has ended, if one has."""

    service: ServiceView
    ended: TaskView | None

    @property
    def node_id(self) -> str:
        return self.service.helper.partition(".")[2]

    def busy(self, now: float) -> bool:
        until = self.service.labels.get(UNTIL_LABEL, "")
        return self.ended is None and until.isdecimal() and now < int(until)

    def keeps(self, order: Order) -> bool:
        """Whether it was told to keep all that has to be kept now, and touches nothing else."""
        container = self.service.spec["TaskTemplate"]["ContainerSpec"]
        told = dict(str(line).partition("=")[::2] for line in container.get("Env") or ())
        kept, touched = (set(told.get(f"NODEWISE_{name}", "").split()) for name in ("KEEP", "REPOSITORIES"))
        return order.keep <= kept and touched <= order.repositories


@dataclass(frozen=True, slots=True)
class Next:
    """What to do: make these jobs and look again, or (``over``) read what was printed and remove all jobs."""

    make: tuple[Spec, ...] = ()
    over: bool = False


def is_clean_job(service: ServiceView) -> bool:
    """Whether a helper service cleans a node: it belongs to no rollout."""
    return service.helper.partition(".")[0] == PURPOSE


def clean_jobs(services: Iterable[ServiceView], tasks: Sequence[TaskView] = ()) -> list[CleanJob]:
    """The jobs among *services*."""
    own = [s for s in services if is_clean_job(s)]
    ended = {t.service_id: t for t in sorted(tasks, key=lambda t: t.at) if t.state in ENDED}
    return [CleanJob(service, ended.get(service.id)) for service in own]


def next_step(order: Order, jobs: Sequence[CleanJob], nodes: Iterable[NodeView], now: float) -> Next:
    """Nodes that are down are not waited for. What has become needed while a job runs, such as what a rollout brings
    that has just begun, ends the round: the next one begins with it.
    """
    busy = [job for job in jobs if job.busy(now)]
    if any(not job.keeps(order) for job in busy):
        return Next(over=True)
    there = [node for node in nodes if node.takes_tasks]
    served = {job.node_id for job in jobs}
    missing = [node for node in there if node.id not in served]
    waits = {job.node_id for job in busy} & {node.id for node in there}
    room = max(0, AT_ONCE - len(busy))
    return Next(tuple(job_spec(order, node, now) for node in missing[:room]), not (missing or waits))


def removed(printed: str) -> list[str]:
    """The images that a job says it has removed."""
    return [line.removeprefix(_SAID) for line in printed.splitlines() if line.startswith(_SAID)]


def told(by_node: Mapping[str, Sequence[str]]) -> str:
    """How many images of which repository were removed on which node, for people."""
    counted = {node: Counter(image.partition("@")[0] for image in images) for node, images in by_node.items()}
    parts = (
        f"{node}: " + ", ".join(f"{count} of {repository}" for repository, count in sorted(counts.items()))
        for node, counts in sorted(counted.items())
        if counts
    )
    return "; ".join(parts)


def _short(digest: str) -> str:
    return digest.partition(":")[2][:SHORT]

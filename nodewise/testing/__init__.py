"""What a test of Nodewise, or of a tool on top of it, runs on in place of the world.

``SimulatedSwarm`` is a ``ports.Engine`` with Swarm's own semantics in virtual time, ``ManualClock`` a clock that
is moved by hand, ``MemoryQueue`` a queue that a driver loop empties. The same contract suite runs on the
simulated swarm and on a real one. ``SimulatedGit`` and ``SimulatedBuilder`` make releases for it from commits.
"""

from nodewise.testing.app import App
from nodewise.testing.builder import SimulatedBuilder
from nodewise.testing.channel import RecordingChannel
from nodewise.testing.clock import ManualClock
from nodewise.testing.git import SimulatedGit
from nodewise.testing.queue import MemoryQueue
from nodewise.testing.swarm import SimulatedSwarm

__all__ = [
    "App",
    "ManualClock",
    "MemoryQueue",
    "RecordingChannel",
    "SimulatedBuilder",
    "SimulatedGit",
    "SimulatedSwarm",
]

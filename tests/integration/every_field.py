"""A service spec with every field of the Engine API's ServiceSpec (1.41) that a Linux swarm accepts.

Left out: a mount's Consistency, which 20.10 itself does not keep; Mode.Global and the job modes, which
exclude Mode.Replicated; PluginSpec and NetworkAttachmentSpec, which exclude ContainerSpec.
Each value differs from the engine's default, so that a field which is dropped or reset shows.
"""

from __future__ import annotations

from typing import Any

SECOND = 1_000_000_000


def every_field(image: str, secret: dict[str, str], config: dict[str, str], network: str) -> dict[str, Any]:
    """*secret*, *config*: their ID and name. *network*: the id of an attachable overlay network."""
    return {
        "Name": "every-field",
        "Labels": {"team": "shop", "empty": "", "a.b/c": "ü <&> \u2028"},
        "TaskTemplate": {
            "ContainerSpec": _container(image, secret, config),
            "Resources": {
                "Limits": {"NanoCPUs": 1_500_000_000, "MemoryBytes": 134_217_728, "Pids": 77},
                "Reservations": {
                    "NanoCPUs": 250_000_000,
                    "MemoryBytes": 67_108_864,
                    "GenericResources": [
                        {"DiscreteResourceSpec": {"Kind": "SSD", "Value": 3}},
                        {"NamedResourceSpec": {"Kind": "GPU", "Value": "UUID1"}},
                    ],
                },
            },
            "RestartPolicy": {
                "Condition": "on-failure",
                "Delay": 7 * SECOND,
                "MaxAttempts": 4,
                "Window": 11 * SECOND,
            },
            "Placement": {
                "Constraints": ["node.labels.never == there", "node.role != nobody"],
                "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.zone"}}],
                "MaxReplicas": 3,
                "Platforms": [{"Architecture": "arm64", "OS": "linux"}],
            },
            "ForceUpdate": 5,
            "Runtime": "container",
            "Networks": [{"Target": network, "Aliases": ["db", "cache"], "DriverOpts": {"o.x": "1"}}],
            "LogDriver": {"Name": "json-file", "Options": {"max-size": "1m", "max-file": "2"}},
        },
        "Mode": {"Replicated": {"Replicas": 0}},
        "UpdateConfig": _update("continue", "start-first"),
        "RollbackConfig": _update("pause", "stop-first"),
        "EndpointSpec": {
            "Mode": "vip",
            "Ports": [
                {"Protocol": "tcp", "TargetPort": 8080, "PublishedPort": 38080, "PublishMode": "host", "Name": "a"},
                {"Protocol": "udp", "TargetPort": 53, "PublishedPort": 38053, "PublishMode": "ingress"},
            ],
        },
    }  # fmt: skip


def _update(action: str, order: str) -> dict[str, Any]:
    return {
        "Parallelism": 3,
        "Delay": 9 * SECOND,
        "FailureAction": action,
        "Monitor": 13 * SECOND,
        "MaxFailureRatio": 0.15,
        "Order": order,
    }


def _container(image: str, secret: dict[str, str], config: dict[str, str]) -> dict[str, Any]:
    file = {"Name": "/run/here", "UID": "33", "GID": "34", "Mode": 0o440}
    return {
        "Image": image,
        "Labels": {"inner": "yes"},
        "Command": ["/bin/sh", "-c"],
        "Args": ["echo {{.Node.Hostname}}", ""],
        "Hostname": "h-{{.Task.Slot}}",
        "Env": ["A=1", "B=", "C"],
        "Dir": "/srv",
        "User": "1000:1000",
        "Groups": ["audio", "27"],
        "Privileges": {
            "CredentialSpec": {"Config": config["ID"], "File": "", "Registry": ""},
            "SELinuxContext": {"Disable": True, "User": "u", "Role": "r", "Type": "t", "Level": "l"},
        },
        "TTY": True,
        "OpenStdin": True,
        "ReadOnly": True,
        "Mounts": _mounts(),
        "StopSignal": "SIGQUIT",
        "StopGracePeriod": 17 * SECOND,
        "Healthcheck": {
            "Test": ["CMD-SHELL", "true || exit 1"],
            "Interval": 21 * SECOND,
            "Timeout": 2 * SECOND,
            "Retries": 6,
            "StartPeriod": 4 * SECOND,
        },
        "Hosts": ["10.9.8.7 far.example far"],
        "DNSConfig": {"Nameservers": ["9.9.9.9"], "Search": ["example.test"], "Options": ["ndots:3"]},
        "Secrets": [{"SecretID": secret["ID"], "SecretName": secret["Name"], "File": file}],
        "Configs": [
            {"ConfigID": config["ID"], "ConfigName": config["Name"], "File": file},
            {"ConfigID": config["ID"], "ConfigName": config["Name"], "Runtime": {}},
        ],
        "Isolation": "default",
        "Init": False,
        "Sysctls": {"net.core.somaxconn": "1024"},
        "CapabilityAdd": ["CAP_NET_RAW"],
        "CapabilityDrop": ["CAP_SYS_ADMIN"],
        "Ulimits": [{"Name": "nofile", "Hard": 4096, "Soft": 1024}],
    }


def _mounts() -> list[dict[str, Any]]:
    return [
        {
            "Type": "bind",
            "Source": "/etc",
            "Target": "/b",
            "ReadOnly": True,
            "BindOptions": {"Propagation": "rslave", "NonRecursive": True},
        },
        {
            "Type": "volume",
            "Source": "data",
            "Target": "/v",
            "VolumeOptions": {
                "NoCopy": True,
                "Labels": {"keep": "1"},
                "DriverConfig": {"Name": "local", "Options": {"type": "tmpfs", "device": "tmpfs"}},
            },
        },
        {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1_048_576, "Mode": 0o1770}},
    ]

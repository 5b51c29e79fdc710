"""Several devices, and several processes, learn as one device does on the same global batches."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hub_export
from examples import distributed

EXAMPLE = Path(__file__).parents[2] / "examples" / "distributed.py"


def start(exported: hub_export.Export, strategy: str, **variables: str) -> subprocess.Popen[str]:
    flags = [f"--{part}={exported.paths[part]}" for part in ("encoder", "preprocessor")]
    return subprocess.Popen(
        [sys.executable, EXAMPLE, *flags, f"--strategy={strategy}"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    try:
        printed, _ = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0
    return json.loads(printed.splitlines()[-1])


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def one(tiny_export: hub_export.Export) -> list[float]:
    """One device, in this process."""
    flags = [f"--{part}={tiny_export.paths[part]}" for part in ("encoder", "preprocessor")]
    return distributed.main([*flags, "--strategy=one"])


def assert_same(found: dict[str, Any], one: list[float], replicas: int) -> None:
    assert found["replicas"] == replicas
    assert len({*one}) == len(one)  # it learns
    np.testing.assert_allclose(found["losses"], one, rtol=1e-4)


def test_parameter_server(tiny_export: hub_export.Export, one: list[float]) -> None:
    """A chief, two workers and a parameter server on loopback."""
    tasks = [("chief", 0), ("worker", 0), ("worker", 1), ("ps", 0)]
    ports = [f"127.0.0.1:{port}" for port in free_ports(len(tasks))]
    members = {"chief": ports[:1], "worker": ports[1:3], "ps": ports[3:]}
    chief, *servers = (
        start(
            tiny_export,
            "parameter_server",
            TF_CONFIG=json.dumps({"cluster": members, "task": {"type": kind, "index": index}}),
        )
        for kind, index in tasks
    )
    try:
        assert_same(answer(chief), one, 1)
    finally:
        for server in servers:
            server.kill()
            server.communicate()


def test_mirrored(tiny_export: hub_export.Export, one: list[float]) -> None:
    """Two logical devices of one process."""
    assert_same(answer(start(tiny_export, "mirrored")), one, 2)


def test_multi_worker(tiny_export: hub_export.Export, one: list[float]) -> None:
    """Two processes on loopback."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    tasks = [{"cluster": cluster, "task": {"type": "worker", "index": at}} for at in range(2)]
    workers = [start(tiny_export, "multi_worker", TF_CONFIG=json.dumps(each)) for each in tasks]
    try:
        for worker in workers:
            assert_same(answer(worker), one, 2)
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()

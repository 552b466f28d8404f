"""Free ports, and taken ones."""

import socket
from collections.abc import Iterator

import pytest

from unetpp.core.errors import UserError
from unetpp.launch.local_cluster.ports import find_port, is_open, require_port


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_find_port_taken_gives_a_later_one(taken: int) -> None:
    assert find_port(taken) > taken


def test_find_port_promised_to_another_is_passed_over(taken: int) -> None:
    first = find_port(taken)
    assert find_port(first, {first}) > first


def test_require_port_taken_names_it(taken: int) -> None:
    with pytest.raises(UserError, match=str(taken)):
        require_port(taken)


def test_is_open_tells_listening_ports_from_others(taken: int) -> None:
    assert is_open(taken)
    assert not is_open(find_port(taken + 1))

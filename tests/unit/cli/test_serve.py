"""The socket that a server listens on."""

import socket

import pytest

from photosieve.cli.serve import listen
from photosieve.errors import UsageError


def test_the_body_of_an_answer_does_not_wait_for_the_client_to_confirm_the_head() -> None:
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        connection, _ = listening.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_address_in_use_is_one_sentence() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1:{port} cannot be used .*--port"):
            listen("127.0.0.1", port)

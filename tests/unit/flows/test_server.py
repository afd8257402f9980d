"""Which Prefect API is chosen: a real socket that listens, one that does not, none configured."""

from __future__ import annotations

import os
import socket

import pytest

from flows import server


@pytest.fixture(autouse=True)
def _restore_environment(monkeypatch: pytest.MonkeyPatch):
    for name in [key for key in os.environ if key.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    yield
    for name in [key for key in os.environ if key.startswith("PREFECT_")]:
        del os.environ[name]


def test_a_server_that_answers_is_used(monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        monkeypatch.setenv("PREFECT_API_URL", url)
        assert server.choose() == server.Api(url)


def test_one_that_does_not_is_left_with_a_warning_that_says_how_to_start_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    api = server.choose()
    assert api.url is None
    assert "make dashboard" in str(api.warning)
    assert "PREFECT_API_URL" not in os.environ
    assert os.environ["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] == "true"


def test_a_dashboard_on_its_usual_address_is_found(monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        monkeypatch.setattr(server, "DEFAULT_URL", url)
        assert server.choose() == server.Api(url)
        assert os.environ["PREFECT_API_URL"] == url

"""The remote: what a push copies, that DVC's own commands find it, and what is said when it cannot be used."""

from __future__ import annotations

import importlib.util
import shutil
import socket
from pathlib import Path

import pytest

from betti.errors import BadParam
from tasks.record import Workspace
from tasks.remote import Pushed, Remote
from tasks.storage import LISTING, RemoteError
from tests.unit.tasks.tiny import cache_of, flip, lay_out, never, outs, restored, run, silent, wipe


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = lay_out(tmp_path_factory.mktemp("done") / "ws")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        run(root, 1)
    return root


@pytest.fixture
def root(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(shutil.copytree(done, tmp_path / "ws"))
    return tmp_path / "ws"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "remote"


def remote_of(root: Path, address: str | Path) -> Remote:
    remote = Remote(cache_of(root))
    remote.configure(str(address))
    return remote


def whole(store: Path) -> set[str]:
    """Names of the objects in a remote folder, each of which is what its name says."""
    from tasks.record import md5_of

    files = [file for file in (store / "files" / "md5").rglob("*") if file.is_file()]
    names = {file.parent.name + file.name for file in files}
    assert names == {md5_of(file) + (LISTING if file.suffix == LISTING else "") for file in files}
    return names


def config(root: Path) -> str:
    local = root / ".dvc" / "config.local"
    return local.read_text() if local.exists() else ""


# Configuration --------------------------------------------------------------------------------------------------------


def test_the_address_stands_in_the_local_configuration_alone(root: Path, store: Path):
    committed = (root / ".dvc" / "config").read_bytes()
    remote = remote_of(root, store)
    assert remote.address == str(store)
    assert "betti" in config(root)
    assert (root / ".dvc" / "config").read_bytes() == committed
    remote.configure(None)
    assert remote.address is None
    assert "betti" not in config(root)
    assert (root / ".dvc" / "config").read_bytes() == committed


def test_options_stay_with_their_address_and_go_with_it(root: Path, tmp_path: Path):
    """Credentials of one place are not shown to another."""
    remote = remote_of(root, "s3://bucket/one")
    with (root / ".dvc" / "config.local").open("a") as local:
        local.write("    endpointurl = http://127.0.0.1:9\n    profile = mine\n")
    again = remote_of(root, "s3://bucket/one")
    assert "profile = mine" in config(root)
    assert again.address == remote.address == "s3://bucket/one"
    remote_of(root, "s3://bucket/two")
    assert "profile" not in config(root)
    remote_of(root, tmp_path / "folder")
    assert Remote(cache_of(root)).address == str(tmp_path / "folder")


def test_a_remote_of_ones_own_stays_and_is_used_where_none_is_named(root: Path, store: Path, tmp_path: Path):
    shared = root / ".dvc" / "config"
    text = shared.read_text().replace("[core]\n", "[core]\n    remote = mine\n")
    shared.write_text(f'{text}[remote "mine"]\n    url = {tmp_path / "mine"}\n')
    own = Remote(cache_of(root))
    own.configure(None)
    assert own.address == str(tmp_path / "mine")
    assert config(root) == ""
    assert remote_of(root, store).address == str(store)
    Remote(cache_of(root)).configure(None)
    assert Remote(cache_of(root)).address == str(tmp_path / "mine")


@pytest.mark.parametrize("wanted", ["../remote", "~/remote"])
def test_a_folder_is_meant_from_the_workspace_or_from_home(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir("/")
    assert remote_of(root, wanted).address == str(tmp_path / "remote")


@pytest.mark.parametrize("wanted", ["foo://bar", ".dvc/cache", ".dvc/cache/files", ".dvc"])
def test_what_can_be_no_remote_is_refused_before_anything_is_written(root: Path, wanted: str):
    with pytest.raises(BadParam, match=r"flow\.remote"):
        remote_of(root, wanted)
    assert config(root) == ""


# Pushing --------------------------------------------------------------------------------------------------------------


def test_a_push_copies_what_is_new_and_dvc_finds_nothing_left_to_push(root: Path, store: Path):
    from dvc.repo import Repo

    remote = remote_of(root, store)
    assert not remote.settled()
    told: list[tuple[int, int, str]] = []
    pushed = remote.push(lambda *words: told.append(words))
    assert (pushed.objects, pushed.held_back) == (len(whole(store)), ())
    assert pushed.size == sum(file.stat().st_size for file in (store / "files").rglob("*") if file.is_file())
    assert pushed.runs == len(list((store / "runs").glob("??/*/*"))) == 2
    assert {what for _, _, what in told} == {"new objects hashed", "objects pushed", "runs pushed"}
    assert remote.settled()
    assert Repo(str(root)).push() == 0
    assert remote.push(silent) == Pushed(0, 0, 0, ())
    before = whole(store)
    run(root, 2)
    assert not remote.settled()
    later = remote.push(silent)
    assert later.objects == len(whole(store) - before) > 0
    assert Repo(str(root)).push() == 0


def test_the_plain_pull_of_dvc_brings_everything_to_another_machine(
    root: Path, store: Path, tmp_path: Path, monkeypatch
):
    from dvc.repo import Repo

    remote_of(root, store).push(silent)
    other = lay_out(tmp_path / "other")
    shutil.copy(root / "dvc.lock", other / "dvc.lock")
    monkeypatch.chdir(other)
    remote_of(other, store)
    Repo(str(other)).pull(run_cache=True, allow_missing=True)  # git would bring score.json
    assert (other / "many" / "below" / "two.txt").read_text() == "below/two.txt 1\n"
    (other / "score.json").unlink(missing_ok=True)
    assert Workspace(other).bring_up_to_date("copy", never).state == "cached"


def test_a_machine_without_the_lock_restores_from_the_notes(root: Path, store: Path, tmp_path: Path, monkeypatch):
    """Outs that git keeps are pushed too: without them a note of a run restores nothing."""
    remote_of(root, store).push(silent)
    other = lay_out(tmp_path / "other")
    monkeypatch.chdir(other)
    shutil.copytree(store, other / ".dvc" / "cache", dirs_exist_ok=True)
    restored(other)
    assert (other / "dvc.lock").read_bytes() == (root / "dvc.lock").read_bytes()


def test_what_is_corrupt_does_not_spread(root: Path, store: Path):
    cache = cache_of(root)
    spoilt = (cache.listing(outs(root)["many"]) or {})["one.txt"]
    flip(cache.path_of(spoilt))
    remote = remote_of(root, store)
    pushed = remote.push(silent)
    assert pushed.held_back == ("many",)
    assert not remote.settled()
    assert spoilt not in whole(store)
    assert outs(root)["many"] not in whole(store)
    assert outs(root)["out.txt"] in whole(store)
    assert pushed.runs == 1
    cache.mend(cache.check(silent).faults, None, silent)
    assert remote.push(silent).held_back == ()
    assert remote.settled()


def test_what_the_cache_lacks_is_held_back(root: Path, store: Path):
    cache_of(root).path_of(outs(root)["many"]).unlink()
    assert remote_of(root, store).push(silent).held_back == ("many",)
    assert outs(root)["out.txt"] in whole(store)


def test_another_remote_is_not_settled_by_a_push_to_the_first(root: Path, store: Path, tmp_path: Path):
    remote_of(root, store).push(silent)
    assert not remote_of(root, tmp_path / "second").settled()
    assert remote_of(root, store).settled()


# Out of reach ---------------------------------------------------------------------------------------------------------


def unreachable(tmp_path: Path, kind: str) -> str:
    if kind == "no folder":
        return str(tmp_path / "unmounted" / "remote")
    if kind == "a file":
        (tmp_path / "remote").write_text("")
        return str(tmp_path / "remote")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/remote"  # nobody listens there any more


@pytest.mark.parametrize("kind", ["no folder", "a file", "nobody listens"])
def test_a_remote_out_of_reach_is_one_sentence(root: Path, tmp_path: Path, kind: str):
    address = unreachable(tmp_path, kind)
    remote = remote_of(root, address)
    with pytest.raises(RemoteError, match="cannot be used") as caught:
        remote.push(silent)
    assert address in str(caught.value)
    assert not remote.settled()
    assert not (tmp_path / "unmounted").exists()
    restored(root)


@pytest.mark.skipif(importlib.util.find_spec("dvc_oss") is not None, reason="it is installed here")
def test_a_kind_of_remote_that_is_not_installed_says_what_to_install(root: Path):
    with pytest.raises(RemoteError, match="dvc-oss"):
        remote_of(root, "oss://bucket/path").probe()


def test_a_probe_of_a_folder_that_can_be_made_is_quiet(root: Path, store: Path):
    remote_of(root, store).probe()
    assert not store.exists()


# S3 -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch):
    """The address of a bucket on a server that answers as S3 does."""
    pytest.importorskip("dvc_s3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0)
    boto3 = pytest.importorskip("boto3")
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "x"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    boto3.client("s3").create_bucket(Bucket="bars")
    yield "s3://bars/night"
    server.stop()


def test_s3_is_pushed_to_and_mends_the_cache(root: Path, bucket: str):
    from dvc.repo import Repo

    remote = remote_of(root, bucket)
    assert remote.push(silent).objects > 0
    assert Repo(str(root)).push() == 0
    assert remote.push(silent) == Pushed(0, 0, 0, ())
    cache = cache_of(root)
    flip(cache.path_of(outs(root)["out.txt"]))
    flip(cache.path_of(outs(root)["many"]))
    wipe(root)
    mended = cache.mend(cache.check(silent).faults, remote.fetch, silent)
    assert len(mended.from_remote) == 2
    assert mended.left == ()
    restored(root)


def test_a_bucket_that_does_not_exist_is_one_sentence(root: Path, bucket: str):
    with pytest.raises(RemoteError, match="cannot be used"):
        remote_of(root, bucket.replace("bars", "absent")).push(silent)

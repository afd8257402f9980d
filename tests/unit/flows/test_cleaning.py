"""`betti gc` on a tiny real repository: what is needed stays, under git and without, and nothing goes unasked."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import binding, params, parts
from betti.errors import BadParam, BettiError, UnknownName
from flows import cleaning
from tasks.record import Workspace
from tests.unit.tasks.tiny import BODIES, cache_of, flip, lay_out, never, outs, restored, run, silent, wipe

LIMIT = 10**9


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three versions; dvc.lock names the third."""
    root = lay_out(tmp_path_factory.mktemp("done") / "ws")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for value in (1, 2, 3):
            run(root, value)
    return root


@pytest.fixture
def root(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(shutil.copytree(done, tmp_path / "ws"))
    return tmp_path / "ws"


def planned(root: Path, keep: cleaning.Keep = "workspace") -> cleaning.Plan:
    cache = cache_of(root)
    with cache.workspace.session():
        return cleaning.plan(cache, keep, LIMIT)


def everything(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below the folder, with its bytes."""
    files = [file for file in root.rglob("*") if file.is_file() and "tmp" not in file.relative_to(root).parts[:2]]
    return {str(file.relative_to(root)): (file.stat().st_mtime_ns, file.read_bytes()) for file in files}


def needed(root: Path) -> set[str]:
    """Names of all objects that DVC itself finds in use in the workspace."""
    from dvc.repo import Repo

    used = Repo(str(root)).used_objs()
    return {str(info.value) for infos in used.values() for info in infos}


def git(root: Path, *words: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True, text=True).stdout


def commit(root: Path, *extra: str) -> None:
    git(root, "add", "-f", "dvc.lock", "in.txt", *extra)
    git(root, "commit", "-q", "-m", "a version")


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions: 1 tagged, 2 on another branch, 3 committed and replaced, 4 committed by nobody, 5 in the workspace."""
    root = lay_out(tmp_path_factory.mktemp("versions") / "git")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        make_versions(root)
    return root


@pytest.fixture
def history(versions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(shutil.copytree(versions, tmp_path / "git"))
    return tmp_path / "git"


def make_versions(root: Path) -> None:
    git(root, "init", "-q", "-b", "main")
    run(root, 1)
    commit(root)
    git(root, "tag", "-a", "v1", "-m", "first")
    git(root, "checkout", "-q", "-b", "side")
    run(root, 2)
    commit(root)
    git(root, "checkout", "-q", "main")
    run(root, 3)
    commit(root)
    git(root, "rm", "-q", "--cached", "dvc.lock")
    git(root, "commit", "-q", "-m", "without a lock")
    run(root, 4)
    run(root, 5)


# Nothing goes unasked -------------------------------------------------------------------------------------------------


def test_a_preview_says_what_would_go_and_changes_nothing(root: Path, capsys: pytest.CaptureFixture[str]):
    before = everything(root)
    cleaning.clean(root, False, "workspace")
    said = capsys.readouterr().out
    assert everything(root) == before
    found = planned(root)
    assert "Nothing was removed" in said
    assert str(len(found.objects)) in said
    assert {path.parent.name + path.name for path in found.objects} <= set(said.replace("│", " ").split())
    assert "many/below/two.txt" in said


def test_after_apply_all_that_the_lock_names_is_restored_without_running(
    root: Path, capsys: pytest.CaptureFixture[str]
):
    used, cache = needed(root), cache_of(root)
    before = set(cache.objects().values())
    cleaning.clean(root, True, "workspace")
    after = set(cache.objects().values())
    assert used <= after < before
    assert cache.check(silent).faults == ()
    assert cache.dangling() == []
    assert len(cache.runs()) == len(BODIES)
    restored(root)
    assert (root / "many" / "one.txt").read_text() == "one.txt 3\n"
    assert planned(root).objects == planned(root).leftovers == {}
    capsys.readouterr()
    cleaning.clean(root, True, "workspace")
    assert "nothing to remove" in capsys.readouterr().out


def test_objects_that_versions_share_stay(root: Path):
    cache = cache_of(root)
    shared = (cache.listing(outs(root)["many"]) or {})["same.txt"]
    assert shared not in {path.parent.name + path.name for path in planned(root).objects}


def test_a_stage_that_is_declared_no_more_keeps_what_the_lock_has_of_it(root: Path):
    pipeline = yaml.safe_load((root / "dvc.yaml").read_text())
    del pipeline["stages"]["spread"]
    (root / "dvc.yaml").write_text(yaml.safe_dump(pipeline))
    hidden = cache_of(root).closure(
        yaml.safe_load((root / "dvc.lock").read_text())["stages"]["spread"]["outs"][0]["md5"]
    )
    assert hidden
    cleaning.clean(root, True, "workspace")
    assert hidden <= set(cache_of(root).objects().values())


def test_what_dvc_add_tracks_stays(root: Path):
    from dvc.repo import Repo

    (root / "notes.csv").write_text("a,b\n")
    Repo(str(root)).add("notes.csv")
    cleaning.clean(root, True, "workspace")
    (root / "notes.csv").unlink()
    Repo(str(root)).checkout("notes.csv.dvc")
    assert (root / "notes.csv").read_text() == "a,b\n"


def test_a_workspace_without_a_lock_or_a_cache_has_nothing_to_lose(root: Path, tmp_path: Path, monkeypatch):
    (root / "dvc.lock").unlink()
    cleaning.clean(root, False, "workspace")
    assert len(planned(root).objects) == len(cache_of(root).objects())
    fresh = lay_out(tmp_path / "fresh")
    monkeypatch.chdir(fresh)
    cleaning.clean(fresh, True, "workspace")


# History --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keep", "stay"), [("workspace", {5}), ("tags", {1, 5}), ("commits", {1, 2, 3, 5})], ids=lambda word: str(word)
)
def test_history_keeps_its_versions(history: Path, keep: cleaning.Keep, stay: set[int]):
    cleaning.clean(history, True, keep)
    lock = (history / "dvc.lock").read_bytes()
    revisions = {1: "v1", 2: "side", 3: "main~1"}
    for value in (1, 2, 3, 4, 5):
        (history / "in.txt").write_text(f"{value}\n")
        if value in revisions:
            (history / "dvc.lock").write_text(git(history, "show", f"{revisions[value]}:dvc.lock"))
        else:
            (history / "dvc.lock").write_bytes(lock)
        wipe(history)
        workspace = Workspace(history)
        if value in stay:
            assert workspace.bring_up_to_date("copy", never).state == "restored"
            if value == 5:
                assert workspace.bring_up_to_date("spread", never).state == "restored"
                continue
            (history / "score.json").write_text(f'{{"score": {value}}}\n')  # as git would bring it
            assert workspace.bring_up_to_date("spread", never).state == "restored"
        else:
            assert workspace.bring_up_to_date("copy", lambda: BODIES["copy"](history)).state == "ran"


def test_a_version_that_only_a_merge_brought_in_stays(history: Path):
    """It differs from both parents: a log that skips merges does not show it."""
    git(history, "checkout", "-q", "-f", "main~1")
    git(history, "checkout", "-q", "-b", "merged")
    run(history, 6)
    tree = (history / "dvc.lock").read_bytes()
    git(history, "checkout", "-q", "-f", "merged")
    git(history, "merge", "-q", "-s", "ours", "--no-commit", "side")
    (history / "dvc.lock").write_bytes(tree)
    commit(history)
    run(history, 7)
    names = cleaning._of_history(history, "commits")
    assert set(yaml_hashes(tree)) <= names


def yaml_hashes(lock: bytes) -> list[str]:
    stages = yaml.safe_load(lock)["stages"].values()
    return [out["md5"] for stage in stages for out in stage["outs"]]


def test_a_dvc_file_below_that_is_gone_again_keeps_its_version(history: Path):
    (history / "inner").mkdir()
    (history / "inner" / "x.dvc").write_text("outs:\n- md5: 0123456789abcdef0123456789abcdef\n  path: x\n")
    commit(history, "inner/x.dvc")
    git(history, "rm", "-q", "inner/x.dvc")
    git(history, "commit", "-q", "-m", "gone again")
    assert "0123456789abcdef0123456789abcdef" in cleaning._of_history(history, "commits")
    assert "0123456789abcdef0123456789abcdef" not in cleaning._of_history(history, "tags")


def test_without_git_history_is_the_workspace(root: Path):
    assert planned(root, "commits").objects == planned(root, "workspace").objects


def test_the_knob_says_what_to_keep_and_the_option_overrules_it(history: Path, capsys: pytest.CaptureFixture[str]):
    knobs = yaml.safe_load((history / "params.yaml").read_text())
    knobs["flow"]["keep"] = "tags"
    (history / "params.yaml").write_text(yaml.safe_dump(knobs))
    cleaning.clean(history, False, "")
    assert "tagged commit" in capsys.readouterr().out
    cleaning.clean(history, False, "workspace")
    assert "tagged commit" not in capsys.readouterr().out
    with pytest.raises(UnknownName, match="did you mean 'commits'"):
        cleaning.clean(history, True, "comits")


@pytest.mark.parametrize(("knob", "value"), [("keep", "all"), ("keep", None), ("remote", ""), ("remote", 7)])
def test_a_knob_out_of_range_is_named(root: Path, knob: str, value: object):
    knobs = yaml.safe_load((root / "params.yaml").read_text())
    knobs["flow"][knob] = value
    (root / "params.yaml").write_text(yaml.safe_dump(knobs))
    with pytest.raises(BadParam, match=f"flow.{knob} = "):
        cleaning.clean(root, True, "")


def test_without_the_knobs_there_is_no_remote_and_all_commits_stay(root: Path):
    knobs = yaml.safe_load((root / "params.yaml").read_text())
    del knobs["flow"]["keep"], knobs["flow"]["remote"]
    (root / "params.yaml").write_text(yaml.safe_dump(knobs))
    assert (params.load(root).flow.remote, params.load(root).flow.keep) == (None, "commits")


# Where it cannot be known, nothing goes -------------------------------------------------------------------------------


@pytest.mark.parametrize("spoil", [flip, Path.unlink], ids=["corrupt", "missing"])
def test_a_listing_of_the_lock_that_cannot_be_read_stops_it(root: Path, spoil):
    listing = cache_of(root).path_of(outs(root)["many"])
    spoil(listing)
    before = everything(root)
    with pytest.raises(BettiError, match="betti doctor --cache"):
        cleaning.clean(root, True, "workspace")
    assert everything(root) == before


def test_a_corrupt_listing_in_history_stops_it_and_an_absent_one_does_not(history: Path):
    tagged = yaml.safe_load(git(history, "show", "v1:dvc.lock"))["stages"]["spread"]["outs"][0]["md5"]
    listing = cache_of(history).path_of(tagged)
    flip(listing)
    with pytest.raises(BettiError, match="one of the tags"):
        cleaning.clean(history, True, "tags")
    cleaning.clean(history, False, "workspace")
    listing.unlink()
    cleaning.clean(history, True, "tags")
    assert cache_of(history).check(silent).faults == ()


def test_a_cache_outside_the_workspace_is_not_touched(root: Path, tmp_path: Path):
    shutil.move(root / ".dvc" / "cache", tmp_path / "shared")
    with (root / ".dvc" / "config").open("a") as config:
        config.write(f"[cache]\n    dir = {tmp_path / 'shared'}\n")
    before = everything(tmp_path / "shared")
    with pytest.raises(BettiError, match="dvc gc --workspace --projects"):
        cleaning.clean(root, True, "workspace")
    assert everything(tmp_path / "shared") == before


def test_a_repository_git_cannot_read_stops_it(history: Path):
    (history / ".git" / "HEAD").write_text("nonsense")
    before = set(cache_of(history).objects())
    with pytest.raises(BettiError, match="git cannot be asked"):
        cleaning.clean(history, True, "commits")
    assert set(cache_of(history).objects()) == before


def test_it_waits_for_a_run_that_holds_the_cache(root: Path):
    knobs = yaml.safe_load((root / "params.yaml").read_text())
    knobs["flow"]["lock_wait_seconds"] = 0
    (root / "params.yaml").write_text(yaml.safe_dump(knobs))
    before = set(cache_of(root).objects())
    with Workspace(root).session(), pytest.raises(BettiError, match="is held by"):
        cleaning.clean(root, True, "workspace")
    assert set(cache_of(root).objects()) == before


# Beside DVC's cache ---------------------------------------------------------------------------------------------------


def test_leftovers_go_with_their_process(root: Path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    cache = cache_of(root)
    dead = [
        root / "data" / ".tmp" / f"{gone.pid}-0123",
        root / binding.PARTS_CACHE / ".tmp" / f"{gone.pid}-4567",
        cache.store / f".mend-{gone.pid}",
        root / ".betti" / "corrupt" / "0123",
        next(iter(cache.objects())).parent / ".8F3_x.tmp",
    ]
    alive = [root / "data" / ".tmp" / f"{os.getpid()}-0123", cache.store / f".mend-{os.getpid()}"]
    for path in (*dead, *alive):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    assert set(planned(root).leftovers) == set(dead)
    cleaning.clean(root, True, "workspace")
    assert [path for path in dead if path.exists()] == []
    assert all(path.exists() for path in alive)


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 10**6)), max_size=8, unique_by=lambda part: part[1]),
    limit=st.integers(0, 120),
)
def test_the_part_cache_is_previewed_as_it_is_pruned(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[tuple[int, int]], limit: int
):
    folder = tmp_path_factory.mktemp("parts")
    for number, (size, used) in enumerate(sizes):
        (folder / f"{number}-x.parquet").write_bytes(b"x" * size)
        os.utime(folder / f"{number}-x.parquet", (used, used))
    foreseen = cleaning._surplus(folder, limit)
    before = set(folder.glob("*.parquet"))
    assert parts.prune(folder, limit) == len(foreseen)
    assert before - set(folder.glob("*.parquet")) == set(foreseen)


def test_parts_beyond_the_knob_go(root: Path):
    folder = root / binding.PARTS_CACHE
    folder.mkdir(parents=True)
    (folder / "a-b.parquet").write_bytes(b"x" * 2000)
    knobs = yaml.safe_load((root / "params.yaml").read_text())
    knobs["flow"]["parts_cache_gb"] = 1e-6
    (root / "params.yaml").write_text(yaml.safe_dump(knobs))
    cleaning.clean(root, True, "workspace")
    assert list(folder.glob("*.parquet")) == []


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345_678, "12.3 MB"), (2.5e9, "2.5 GB"), (7e13, "70000.0 GB")],
)
def test_sizes_are_for_people(size: float, words: str):
    assert cleaning.size_in_words(size) == words

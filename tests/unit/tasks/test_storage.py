"""The cache on a tiny real repository: every kind of damage is found, named, and put right or told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tasks.record import Workspace
from tasks.remote import Remote
from tasks.storage import LISTING, Cache, Use, _listed
from tests.unit.tasks.tiny import BODIES, DAMAGE, cache_of, flip, lay_out, outs, restored, run, silent, wipe


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


def object_of(root: Path, path: str) -> Path:
    """The cache object behind a file, a folder, or a file in the folder `many`."""
    cache, recorded = cache_of(root), outs(root)
    if path in recorded:
        return cache.path_of(recorded[path])
    files = cache.listing(recorded["many"])
    assert files is not None
    return cache.path_of(files[path.removeprefix("many/")])


def test_a_whole_cache_has_no_fault_and_is_told_to_its_end(root: Path):
    told: list[tuple[int, int, str]] = []
    health = cache_of(root).check(lambda *words: told.append(words))
    objects = [path for path in (root / ".dvc" / "cache" / "files" / "md5").rglob("*") if path.is_file()]
    assert (health.faults, health.dangling) == ((), 0)
    assert health.objects >= len(objects) >= 5
    assert told[-1] == (health.objects, health.objects, "objects hashed")


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(
    ("path", "stage"), [("out.txt", "copy"), ("many/below/two.txt", "spread"), ("many", "spread")], ids=str
)
def test_damage_is_named_and_put_right_from_the_workspace(root: Path, damage: str, path: str, stage: str):
    victim = object_of(root, path)
    good = victim.read_bytes()
    harm, problem = DAMAGE[damage]
    harm(victim)
    cache = cache_of(root)
    health = cache.check(silent)
    assert [(fault.path, fault.problem, fault.uses) for fault in health.faults] == [
        (victim, problem, (Use(stage, path),))
    ]
    mended = cache.mend(health.faults, None, silent)
    assert [fault.path for fault in mended.from_workspace] == [victim]
    assert (mended.from_remote, mended.left) == ((), ())
    assert victim.read_bytes() == good
    assert victim.stat().st_mode & 0o777 == 0o444
    assert cache.check(silent).faults == ()
    restored(root)
    assert not list(cache.store.glob(".*"))


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("path", ["out.txt", "many/below/two.txt", "many"])
def test_what_the_workspace_lost_too_comes_from_the_remote(root: Path, tmp_path: Path, damage: str, path: str):
    remote = Remote(cache_of(root))
    remote.configure(str(tmp_path / "remote"))
    remote.push(silent)
    victim = object_of(root, path)
    good = victim.read_bytes()
    DAMAGE[damage][0](victim)
    wipe(root)
    cache = cache_of(root)
    mended = cache.mend(cache.check(silent).faults, remote.fetch, silent)
    assert [fault.path for fault in mended.from_remote] == [victim]
    assert (mended.from_workspace, mended.left, mended.trouble) == ((), (), "")
    assert victim.read_bytes() == good
    restored(root)


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(("path", "stage"), [("out.txt", "copy"), ("many/one.txt", "spread"), ("many", "spread")])
def test_what_nobody_has_is_left_to_its_stage_which_runs_again(root: Path, damage: str, path: str, stage: str):
    victim = object_of(root, path)
    harm, problem = DAMAGE[damage]
    harm(victim)
    wipe(root)
    cache = cache_of(root)
    mended = cache.mend(cache.check(silent).faults, None, silent)
    assert [(fault.path, fault.problem) for fault in mended.left] == [(victim, problem)]
    assert {use.stage for use in mended.left[0].uses} == {stage}
    assert not victim.exists()
    assert (root / ".betti" / "corrupt" / mended.left[0].name).exists() == (problem != "missing")
    assert [fault.problem for fault in cache.check(silent).faults] == ["missing"]
    workspace = Workspace(root)
    states = {name: workspace.bring_up_to_date(name, lambda b=body: b(root)).state for name, body in BODIES.items()}
    assert states[stage] == "ran"
    assert cache.check(silent).faults == ()
    restored(root)


def test_everything_at_once_and_a_remote_that_is_corrupt_too(root: Path, tmp_path: Path):
    """A lost folder: its listing comes first, then what it lists; bytes that are wrong there too are not taken."""
    remote = Remote(cache_of(root))
    remote.configure(str(tmp_path / "remote"))
    remote.push(silent)
    cache = cache_of(root)
    files = cache.listing(outs(root)["many"]) or {}
    spoilt = files["one.txt"]
    flip(tmp_path / "remote" / "files" / "md5" / spoilt[:2] / spoilt[2:])
    flip(cache.path_of(spoilt))
    cache.path_of(files["same.txt"]).unlink()
    flip(cache.path_of(outs(root)["many"]))
    wipe(root)
    mended = cache.mend(cache.check(silent).faults, remote.fetch, silent)
    assert {fault.name for fault in mended.from_remote} == {outs(root)["many"], files["same.txt"]}
    assert [(fault.name, fault.uses) for fault in mended.left] == [(spoilt, (Use("spread", "many/one.txt"),))]


def test_a_remote_that_fails_is_told_and_nothing_corrupt_stays_in_place(root: Path, tmp_path: Path):
    remote = Remote(cache_of(root))
    remote.configure(str(tmp_path / "nowhere" / "remote"))
    victim = object_of(root, "out.txt")
    flip(victim)
    wipe(root)
    cache = cache_of(root)
    mended = cache.mend(cache.check(silent).faults, remote.fetch, silent)
    assert "does not exist" in mended.trouble
    assert [fault.path for fault in mended.left] == [victim]
    assert not victim.exists()


def test_an_earlier_version_has_no_stage_and_its_run_dangles(root: Path):
    earlier = object_of(root, "out.txt")
    run(root, 2)
    flip(earlier)
    cache = cache_of(root)
    (fault,) = cache.check(silent).faults
    assert (fault.path, fault.uses) == (earlier, ())
    assert cache.mend((fault,), None, silent).left == (fault,)
    health = cache.check(silent)
    assert (health.faults, health.dangling) == ((), 1)
    (note,) = cache.dangling()
    assert earlier.parent.name + earlier.name in note.read_text()


def test_a_note_of_a_run_that_cannot_be_read_dangles(root: Path):
    cache = cache_of(root)
    note = next(iter(cache.runs()))
    note.write_bytes(b"\xff\xfe cmd")
    assert cache.dangling() == [note]


def test_notes_are_read_as_yaml_would_be(root: Path):
    import yaml

    run(root, 2)
    runs = cache_of(root).runs()
    assert len(runs) == 4
    for note, found in runs.items():
        assert found == {out["path"]: out["md5"] for out in yaml.safe_load(note.read_text())["outs"]}


def test_a_listing_is_written_as_dvc_writes_it(root: Path):
    """Order is by the whole path, not by its parts, and names need not be ASCII."""
    for name in ("a-b.txt", "a.txt", "ä/ö.txt", 'quo"te.txt', "A/z.txt", "a/b/c.txt"):
        (root / "odd" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "odd" / name).write_text(name)
    (root / "dvc.yaml").write_text("stages:\n  odd:\n    cmd: x\n    deps: [in.txt]\n    outs: [odd]\n")
    Workspace(root).bring_up_to_date("odd", lambda: None, force=True)
    written = cache_of(root).path_of(outs(root)["odd"]).read_bytes()
    assert _listed(root / "odd") == written
    assert len(json.loads(written)) == 6


def test_what_dvc_add_tracks_is_known_and_does_not_disturb_the_pipeline(root: Path):
    from dvc.repo import Repo

    (root / "notes.csv").write_text("a,b\n")
    Repo(str(root)).add("notes.csv")
    workspace = Workspace(root)
    assert workspace.look().stale == {}
    assert workspace.look().upstreams == {"copy": (), "spread": ("copy",)}
    added = workspace.tracked() - set(outs(root).values())
    assert [Cache(workspace).path_of(name).read_text() for name in added] == ["a,b\n"]


def test_a_session_in_a_session_is_part_of_it(root: Path):
    workspace = Workspace(root, wait_seconds=0)
    with workspace.session():
        assert set(workspace.recorded()) == set(BODIES)
    assert workspace.look().stale == {}


def test_the_listing_suffix_is_dvcs(root: Path):
    assert outs(root)["many"].endswith(LISTING)

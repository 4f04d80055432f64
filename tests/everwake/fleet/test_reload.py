"""A changed fleet file is taken, a bad one is refused once, and nothing else happens."""

import os
from pathlib import Path

import pytest

from everwake.fleet.load import BadFleet, load
from everwake.fleet.reload import Reloader
from everwake.fleet.schema import Fleet
from tests.support.fake_clock import FakeClock

ONE = '[[service]]\nname = "one"\nurl = "https://one.example"\n'
TWO = '[[service]]\nname = "two"\nurl = "https://two.example"\n'


class Scene:
    """A fleet file in a folder; what the reloader said about it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "everwake.toml"
        self.file.write_text(ONE)
        self.environ: dict[str, str] = {}
        self.taken: list[Fleet] = []
        self.refused: list[BadFleet] = []
        self.reloader = Reloader(
            load(self.file, self.environ), FakeClock(), environ=self.environ, kinds={},
            taken=self.taken.append, refused=self.refused.append,
        )  # fmt: skip

    async def looks(self, times: int = 3, *, asked: bool = False) -> None:
        for _ in range(times):
            await self.reloader.look(asked=asked)

    @property
    def names(self) -> list[list[str]]:
        return [[service.name for service in fleet.services] for fleet in self.taken]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_a_file_that_stays_as_it_is_does_nothing(scene: Scene) -> None:
    await scene.looks(10)
    assert (scene.taken, scene.refused) == ([], [])


async def test_a_changed_file_is_taken_once(scene: Scene) -> None:
    scene.file.write_text(ONE + TWO)
    await scene.looks(10)
    assert scene.names == [["one", "two"]]


async def test_touching_the_file_or_changing_a_comment_changes_nothing(scene: Scene) -> None:
    os.utime(scene.file, (1, 1))
    await scene.looks()
    scene.file.write_text("# a comment\n" + ONE)
    await scene.looks()
    assert (scene.taken, scene.refused) == ([], [])


async def test_a_change_of_the_same_length_is_seen_too(scene: Scene) -> None:
    scene.file.write_text(ONE.replace("one", "uno"))
    await scene.looks()
    assert scene.names == [["uno"]]


async def test_a_file_that_turned_bad_is_refused_once_for_each_change_and_then_taken_again(scene: Scene) -> None:
    scene.file.write_text("[[service]]\nnmae = 1\n")
    await scene.looks(10)
    assert len(scene.refused) == 1
    assert len(scene.refused[0].mistakes) == 3, "every mistake at once"
    scene.file.write_text("[[service]\n")
    await scene.looks(10)
    assert len(scene.refused) == 2
    scene.file.write_text(TWO)
    await scene.looks(10)
    assert scene.names == [["two"]]


async def test_a_file_that_is_gone_is_refused_and_its_return_ends_the_trouble(scene: Scene) -> None:
    scene.file.rename(scene.file.with_suffix(".away"))
    await scene.looks(5)
    assert [bad.mistakes[0].message for bad in scene.refused] == ["cannot be read: No such file or directory"]
    scene.file.with_suffix(".away").rename(scene.file)
    await scene.looks(5)
    assert (scene.names, len(scene.refused)) == ([["one"]], 1)


async def test_a_file_that_is_still_being_written_is_waited_for(scene: Scene) -> None:
    scene.file.write_text(ONE + "[[service]]\n")
    await scene.looks(1)
    scene.file.write_text(ONE + TWO)
    await scene.looks(5)
    assert (scene.names, scene.refused) == ([["one", "two"]], [])


async def test_asking_reads_it_at_once_and_secrets_with_it(scene: Scene) -> None:
    with scene.file.open("a") as file:
        file.write('[notify]\nurls = [{ env = "ALERT_URL" }]\n')
    await scene.looks(1, asked=True)
    assert "ALERT_URL is not set" in str(scene.refused[0])
    scene.environ["ALERT_URL"] = "json://localhost"
    await scene.looks(1, asked=True)
    assert [fleet.notify.urls[0].reveal() for fleet in scene.taken] == ["json://localhost"]


# --- as editors and machines write ------------------------------------------------------------------------------------

MESSAGES = '[notify]\nurls = [{ file = "alert" }]\n'


async def test_a_file_that_was_changed_between_start_and_first_look_is_taken(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.file.write_text(TWO)
    scene.reloader = Reloader(
        load_of(ONE, scene), FakeClock(), environ={}, kinds={}, taken=scene.taken.append, refused=scene.refused.append
    )
    await scene.looks(5)
    assert (scene.names, scene.refused) == ([["two"]], [])


def load_of(text: str, scene: Scene) -> Fleet:
    """The fleet of `text`, as if the file had held it when it was loaded."""
    now = scene.file.read_text()
    scene.file.write_text(text)
    fleet = load(scene.file, scene.environ)
    scene.file.write_text(now)
    return fleet


async def test_an_editor_that_puts_a_new_file_in_its_place_is_seen(scene: Scene) -> None:
    for name in ("uno", "eins", "ett"):
        beside = scene.file.with_suffix(".swp")
        beside.write_text(ONE.replace("one", name))
        beside.replace(scene.file)
        await scene.looks(3)
    assert (scene.names, scene.refused) == ([["uno"], ["eins"], ["ett"]], [])


async def test_a_link_that_is_turned_to_another_file_is_seen(scene: Scene) -> None:
    if os.name == "nt":
        return  # links need a privilege there, and nobody mounts configuration so
    first, second = scene.file.with_name("v1"), scene.file.with_name("v2")
    first.write_text(ONE)
    second.write_text(TWO)
    link = scene.file.with_name("link")
    link.symlink_to(first)
    link.replace(scene.file)
    await scene.looks(3)
    link.symlink_to(second)
    link.replace(scene.file)
    await scene.looks(3)
    assert (scene.names, scene.refused) == ([["two"]], [])


async def test_a_file_emptied_before_it_is_written_is_not_refused_for_that(scene: Scene) -> None:
    scene.file.write_text("")
    await scene.looks(1)
    scene.file.write_text(ONE)
    await scene.looks(1)
    scene.file.write_text(ONE + TWO)
    await scene.looks(5)
    assert (scene.names, scene.refused) == ([["one", "two"]], [])


async def test_a_file_that_stays_half_written_is_refused_and_its_other_half_is_taken(scene: Scene) -> None:
    scene.file.write_text(ONE + '[[service]]\nname = "tw')
    await scene.looks(5)
    assert [bad.mistakes[0].line for bad in scene.refused] == [5]
    scene.file.write_text(ONE + TWO)
    await scene.looks(5)
    assert (scene.names, len(scene.refused)) == ([["one", "two"]], 1)


async def test_a_secret_that_changes_in_its_file_is_taken(scene: Scene) -> None:
    secret = scene.file.with_name("alert")
    secret.write_text("json://first")
    scene.file.write_text(ONE + MESSAGES)
    await scene.looks(5)
    secret.write_text("json://other")
    await scene.looks(5)
    assert [fleet.notify.urls[0].reveal() for fleet in scene.taken] == ["json://first", "json://other"]
    os.utime(secret, (1, 1))
    await scene.looks(5)
    assert len(scene.taken) == 2


async def test_a_secrets_file_that_goes_and_comes_back_is_refused_and_then_taken(scene: Scene) -> None:
    secret = scene.file.with_name("alert")
    scene.file.write_text(ONE + MESSAGES)
    await scene.looks(5)
    assert [bad.mistakes[0].where for bad in scene.refused] == ["notify.urls[1]"]
    secret.write_text("json://first")
    await scene.looks(5)
    secret.unlink()
    await scene.looks(5)
    secret.write_text("json://first")
    await scene.looks(5)
    assert (len(scene.refused), len(scene.taken)) == (2, 2)


async def test_a_secret_of_the_first_load_is_watched_too(tmp_path: Path) -> None:
    (tmp_path / "alert").write_text("json://first")
    file = tmp_path / "everwake.toml"
    file.write_text(ONE + MESSAGES)
    taken: list[Fleet] = []
    reloader = Reloader(
        load(file, {}), FakeClock(), environ={}, kinds={}, taken=taken.append, refused=lambda bad: pytest.fail(str(bad))
    )
    for _ in range(3):
        await reloader.look()
    (tmp_path / "alert").write_text("json://other")
    for _ in range(3):
        await reloader.look()
    assert [fleet.notify.urls[0].reveal() for fleet in taken] == ["json://other"]

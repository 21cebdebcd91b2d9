"""A rebuilt generation is checked against an independent fold before it is swapped in."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection

from projections.database import Generations
from projections.hashes import generation_hash
from projections.market import Market
from projections.models import read_models
from projections.projection import ReadModel
from projections.rebuild import RebuildDiffers, hashes_of, rebuild, reference_hashes, tables_of
from projections.runner import Follower, current_or_new
from tests.simulation.market import Desk
from tests.simulation.story import Story, room


def a_log(seed: int, commands: int = 200) -> Desk:
    desk = Desk(out_rows=room(seed) if seed % 2 else None)
    Story(seed=seed, desk=desk).tell(commands)
    return desk


@pytest.mark.parametrize("seed", [11, 12])
def test_every_table_equals_the_independent_fold_and_the_followed_generation(
    generations: Generations, seed: int
) -> None:
    desk = a_log(seed)
    with current_or_new(generations, read_models()) as followed:
        Follower(desk.recorder, followed, read_models(), desk.keys.unseal).catch_up(entries=13)
        reports: list[tuple[str, int, int]] = []
        rebuilt = rebuild(
            desk.recorder, generations, read_models, desk.keys.unseal, on_progress=lambda *told: reports.append(told)
        )
        found = hashes_of(followed, read_models())
    end = desk.recorder.max_position()
    assert generations.current() == rebuilt.generation == 2
    assert rebuilt.position == end
    assert rebuilt.hash == generation_hash(found)
    assert {what for what, position, _ in reports if position == end} == {"build", "check"}
    with generations.open() as current:
        assert current.position() == end


def test_the_hash_covers_every_table_of_the_read_models() -> None:
    desk = a_log(14, 60)
    hashes = reference_hashes(desk.recorder, desk.recorder.max_position(), read_models())
    assert hashes.keys() == {table.name for table in tables_of(read_models())}
    assert len(hashes) == sum(len(model.tables) for model in read_models())


class Wrong(Market):
    """Market data that forgets the last trade of each batch's first block."""

    def write(self, connection: Connection) -> None:
        columns: Any = self._trades[:1]
        self._trades[:1] = [{name: values[:-1] for name, values in part.items()} for part in columns]
        super().write(connection)


def test_a_generation_that_differs_is_dropped_and_the_current_one_stays(generations: Generations) -> None:
    desk = a_log(13, 80)
    current_or_new(generations, read_models()).close()

    def wrong() -> list[ReadModel]:
        return [Wrong() if isinstance(model, Market) else model for model in read_models()]

    with pytest.raises(RebuildDiffers, match="the rows of trades differ") as raised:
        rebuild(desk.recorder, generations, wrong)
    assert raised.value.tables == ["trades"]
    assert (generations.all(), generations.current()) == ([1], 1)


def test_only_the_generation_before_is_kept(generations: Generations) -> None:
    desk = a_log(15, 20)
    for number in (1, 2, 3):
        assert rebuild(desk.recorder, generations, read_models, check=False).generation == number
    assert (generations.all(), generations.current()) == ([2, 3], 3)

from pathlib import Path

import numpy as np

from hanmo.data.shards import VERDICT_COLUMNS, verdicts_file
from hanmo.data.tables import ArrowTable, TableWriter
from hanmo.data.verdicts import Verdicts

ROWS = [
    {
        "id": f"{i:024x}",
        "rule": "empty" if i % 3 else None,
        "bytes": i if i % 2 else None,
        "mix_group": "zu" if i % 2 else "an",
        "unit": bytes([i] * 16),
    }
    for i in range(9)
]


def test_columns_are_those_of_all_shards_one_after_the_other(tmp_path: Path) -> None:
    for shard, parts in enumerate(((ROWS[:2], ROWS[2:3]), (), (ROWS[3:],))):
        with TableWriter(verdicts_file(tmp_path, shard), VERDICT_COLUMNS) as writer:
            for part in parts:
                writer.write(ArrowTable.of(part, VERDICT_COLUMNS))
    verdicts = Verdicts(tmp_path, 3)
    assert len(verdicts) == 9 and verdicts.borders.tolist() == [0, 3, 3, 9]
    assert [len(table) for table in verdicts.tables(("id",))] == [2, 1, 6]
    assert verdicts.ids().tolist() == [row["id"].encode() for row in ROWS]
    assert verdicts.present("rule").tolist() == [row["rule"] is not None for row in ROWS]
    assert verdicts.numbers("bytes").tolist() == [row["bytes"] or 0 for row in ROWS]
    assert verdicts.digests("unit").tobytes() == b"".join(row["unit"] for row in ROWS)
    names, codes = verdicts.groups("mix_group")
    assert names == ["an", "zu"] and (codes == np.arange(9) % 2).all()

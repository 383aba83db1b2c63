"""Shards small enough to be seen through."""

from pathlib import Path

from hanmo.data.cleaning.filters import FilterConfig
from hanmo.data.reading.formats import Format
from hanmo.data.reading.inputs import InputFile, Unit
from hanmo.data.reading.read import ReadConfig
from hanmo.data.shards import ShardJob


def shard_job(folder: Path, path: Path, number: int = 0, num_parts: int = 1) -> ShardJob:
    """One file as a shard of its own."""
    unit = Unit(
        file=InputFile(path=path, label=path.name, license="MIT", language="zh"), format=Format("jsonl", "utf-8"), bytes=path.stat().st_size
    )
    return ShardJob(
        number=number, units=(unit,), folder=folder, read=ReadConfig(), repair=True, filters=FilterConfig(), num_parts=num_parts
    )


def rows_file(path: Path, count: int) -> Path:
    """Some Chinese documents as JSON lines."""
    path.write_text("".join(f'{{"text": "第{i}天，我们沿着河岸慢慢走回家。"}}\n' for i in range(count)))
    return path

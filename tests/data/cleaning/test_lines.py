from pathlib import Path

import pytest

from hanmo.data.cleaning.lines import Kind, LineJob, count_lines, find_recurring, without_recurring
from hanmo.data.reading.formats import Format
from hanmo.data.reading.inputs import InputFile, Unit
from hanmo.data.reading.read import ReadConfig

FOOTER = "本站文章未经许可不得转载。"
BODIES = [f"第{i}封信写在雪夜里，信上说山那边的梅花已经开了{i}枝。\n下一行说的是别的事情，一共{i}件。" for i in range(6)]


def recurring(folder: Path, texts: list[str], least: int, kind: Kind = "line") -> Path:
    for number, text in enumerate(texts):
        path = folder / f"{number}.txt"
        path.write_text(text, "utf-8")
        unit = Unit(file=InputFile(path=path, label=path.name), bytes=path.stat().st_size)
        job = LineJob(number=number, units=(unit,), folder=folder, read=ReadConfig(), repair=True, kind=kind)
        assert count_lines(job) == path.stat().st_size
    return find_recurring(folder, len(texts), least)


def test_a_line_of_many_documents_is_cut_out_and_the_rest_stays(tmp_path: Path) -> None:
    known = recurring(tmp_path, [f"{body}\n\n {FOOTER}\t" for body in BODIES], 6)
    assert without_recurring(f"{BODIES[0]}\n\n{FOOTER}", known, "line") == (BODIES[0], 1)
    assert without_recurring(f"{FOOTER}\n{BODIES[0]}\n{FOOTER}", known, "line") == (BODIES[0], 2)
    assert without_recurring(BODIES[1], known, "line") == (BODIES[1], 0)


def test_a_line_counts_once_a_document(tmp_path: Path) -> None:
    known = recurring(tmp_path, [f"{BODIES[0]}\n{FOOTER}\n{FOOTER}\n{FOOTER}", *BODIES[1:]], 2)
    assert without_recurring(f"{BODIES[0]}\n{FOOTER}", known, "line")[1] == 0


def test_copies_do_not_erase_each_other(tmp_path: Path) -> None:
    text = f"{BODIES[0]}\n{FOOTER}"
    known = recurring(tmp_path, [text] * 5, 5)
    assert without_recurring(text, known, "line") == (text, 0)


@pytest.mark.parametrize(("kind", "cut"), [("line", 0), ("paragraph", 1)])
def test_a_paragraph_is_what_stands_between_empty_lines(tmp_path: Path, kind: Kind, cut: int) -> None:
    notice = "Do not copy.\nWrite to the editor."
    texts = [f"{body}\n\n{notice if kind == 'paragraph' else notice.replace('copy', f'copy {i}')}" for i, body in enumerate(BODIES)]
    known = recurring(tmp_path, texts, 6, kind)
    text, count = without_recurring(f"{BODIES[0]}\n\n\n{notice}\n\n{BODIES[1]}", known, kind)
    assert count == 1
    assert text == (f"{BODIES[0]}\n\n\n{BODIES[1]}" if cut else f"{BODIES[0]}\n\n\nDo not copy.\n\n{BODIES[1]}")


def test_counts_that_are_too_many_to_hold_give_the_same_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_text("\n".join(f"{body.replace(chr(10), ' ')} {FOOTER if i % 2 else ''}" for i, body in enumerate(BODIES * 3)), "utf-8")
    unit = Unit(file=InputFile(path=path, label="rows"), format=Format("text", "utf-8"))
    found = []
    for held in (10**8, 200, 10**8):  # the pieces of an earlier run count no more
        job = LineJob(number=0, units=(unit,), folder=tmp_path, read=ReadConfig(split_on="line"), repair=True, kind="line", held_bytes=held)
        count_lines(job)
        assert (len(list(tmp_path.glob("shard-00000.lines.*.npy"))) > 1) == (held == 200)
        found.append(find_recurring(tmp_path, 1, 3, held).read_bytes())
    assert len(found[0]) == 8 * len(BODIES) and found[0] == found[1] == found[2]

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from hanmo.model.kernels import library
from hanmo.model.norms import Norm


@pytest.fixture
def fresh_load() -> Iterator[None]:
    """The library is looked for anew inside the test, and anew after it."""
    library.load.cache_clear()
    yield
    library.load.cache_clear()


def test_kernels_say_whether_they_work() -> None:
    on = library.load() is not None
    assert library.status().startswith("on" if on else "off")


@pytest.mark.usefixtures("fresh_load")
def test_the_environment_switches_kernels_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANMO_KERNELS", "0")
    assert library.load() is None
    assert library.status() == "off (HANMO_KERNELS=0)"


@pytest.mark.usefixtures("fresh_load")
def test_without_a_compiler_torch_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CXX", raising=False)
    assert library.load() is None
    assert "no C++ compiler" in library.status()
    norm, x = Norm("rms_norm", 32, 1e-6).bfloat16(), torch.ones(2, 32, dtype=torch.bfloat16)
    assert torch.equal(norm(x), x)


@pytest.mark.usefixtures("fresh_load")
def test_a_compiler_that_fails_is_said_and_survived(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "c++"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    monkeypatch.setenv("HANMO_CACHE", str(tmp_path))
    assert library.load() is None
    assert "could not compile" in library.status()


@pytest.mark.usefixtures("fresh_load")
def test_a_library_is_compiled_once_and_found_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if library.load() is None:
        pytest.skip("no kernels on this machine")
    library.load.cache_clear()
    monkeypatch.setenv("HANMO_CACHE", str(tmp_path))
    assert library.load() is not None
    (compiled,) = (tmp_path / "kernels").iterdir()
    written = compiled.stat().st_mtime_ns
    library.load.cache_clear()
    assert library.load() is not None
    assert compiled.stat().st_mtime_ns == written


def test_only_bf16_in_whole_lanes_goes_to_the_kernels() -> None:
    if library.load() is None:
        pytest.skip("no kernels on this machine")
    fits = torch.zeros(3, 32, dtype=torch.bfloat16)
    assert library.usable(fits, None)
    assert not library.usable(fits, torch.zeros(3, 32))
    assert not library.usable(torch.zeros(3, 24, dtype=torch.bfloat16))


def test_a_switch_turns_kernels_off_inside_and_back_behind() -> None:
    x = torch.zeros(1, 16, dtype=torch.bfloat16)
    before = library.usable(x)
    with library.switched_off():
        assert not library.usable(x)
    assert library.usable(x) == before

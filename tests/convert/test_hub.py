"""The hub by its own library against a small server on this machine: mirror, cache, offline, and only safe files."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.convert.conftest import in_two, model_folder
from tests.model.families.conftest import SMALL

import hanmo.convert.hub
from hanmo.base.errors import MissingExtraError
from hanmo.convert.hub import fetch_from_hub, is_hub_name

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LOAD = """
import sys, hanmo
from hanmo.base.errors import HanmoError
try:
    print(hanmo.load(sys.argv[1]).network.config.hidden_size)
except HanmoError as error:
    print(type(error).__name__, error)
"""


class Hub(BaseHTTPRequestHandler):
    """What the hub's library asks for: the list of files of a revision, and each file with its hash."""

    folder: Path
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        path = self.path.split("?")[0]
        files = {each.name: each for each in self.folder.iterdir()}
        if "/api/models/owner/small" in path:
            about = {"id": "owner/small", "modelId": "owner/small", "sha": COMMIT, "private": False, "tags": [], "downloads": 0}
            listed = [
                {"rfilename": name, "type": "file", "path": name, "size": each.stat().st_size, "oid": "1"} for name, each in files.items()
            ]
            body = json.dumps(listed if "/tree/" in path else {**about, "siblings": listed}).encode()
            return self.answer(200, body, {"Content-Type": "application/json"})
        name = path.rsplit("/", 1)[-1]
        if path.startswith("/owner/small/resolve/") and name in files:
            body = files[name].read_bytes()
            return self.answer(200, body, {"ETag": f'"{hashlib.sha1(body).hexdigest()}"', "X-Repo-Commit": COMMIT})
        return self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET

    def answer(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[type[Hub], dict[str, str]]]:
    folder = model_folder(tmp_path / "m", SMALL)
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    for name in ("spiece.model", "tokenizer.model", "source.spm", "target.spm", "vocab.txt", "merges.txt", "added_tokens.json"):
        (folder / name).write_bytes(b"{}")
    (folder / "fasttext.model").write_bytes(b"{}")
    (folder / "modeling_small.py").write_text("raise SystemExit('code of a model never runs')")
    kind = type("SmallHub", (Hub,), {"folder": folder, "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield kind, {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
        server.shutdown()


def load(name: str, settings: dict[str, str]) -> str:
    """What a fresh process says of a model."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    done = subprocess.run([sys.executable, "-c", LOAD, name], capture_output=True, text=True, env={**kept, **settings}, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_hub_name_loads_from_the_mirror_and_then_without_a_network(hub: tuple[type[Hub], dict[str, str]]) -> None:
    kind, settings = hub
    assert load("owner/small", settings) == "32"
    assert not [path for path in kind.asked if path.endswith((".bin", ".py", "fasttext.model"))]
    for name in ("spiece.model", "tokenizer.model", "source.spm", "target.spm", "vocab.txt", "merges.txt", "added_tokens.json"):
        assert any(path.endswith(f"/{name}") for path in kind.asked), name
    kind.asked.clear()
    assert load("owner/small", {**settings, "HF_HUB_OFFLINE": "1"}) == "32" and kind.asked == []
    assert load("owner/small", settings) == "32" and kind.asked == []
    said = load("owner/none", settings)
    assert said.startswith("ModelError owner/none is neither here nor on the hub") and "\n" not in said


def test_one_part_of_a_set_brings_the_others(hub: tuple[type[Hub], dict[str, str]]) -> None:
    kind, settings = hub
    parts = in_two(kind.folder, kind.folder / "m.gguf")
    assert load(f"owner/small/{parts[1].name}", settings) == "32"


def test_pickled_weights_stay_on_the_hub(hub: tuple[type[Hub], dict[str, str]]) -> None:
    kind, settings = hub
    (kind.folder / "model.safetensors").unlink()
    assert "has no safetensors on the hub: pickled weights are not fetched" in load("owner/small", settings)


def test_without_the_library_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'hanmo\[hub\]'"):
        fetch_from_hub("owner/small")
    assert not is_hub_name("owner/../x.gguf") and hanmo.convert.hub.is_hub_name("owner/small/file.gguf")

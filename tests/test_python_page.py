"""``docs/python.md``: its code runs as it stands, its errors have the exit codes that it says, and its names exist."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tersor.format_spec import errors, signature

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
EXAMPLE, SIGNED = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_its_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "cli" / "demo").mkdir(parents=True)
    shutil.copy(ROOT / "cli" / "demo" / "lenet5.onnx", tmp_path / "cli" / "demo")
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLE, "docs/python.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert printed[1:] == re.findall(r"  # (.*)$", EXAMPLE, re.MULTILINE)
    private, public = signature.new_keys()
    data = Path("lenet5.tersor").read_bytes()
    written = {"net.tersor": data, "net.tersor.sig": signature.sign(data, private), "private.pub.pem": public}
    for name, content in written.items():
        Path(name).write_bytes(content)
    names: dict[str, object] = {}
    exec(compile(SIGNED, "docs/python.md", "exec"), names)
    assert "image" in repr(names["model"])


def test_its_errors_have_their_exit_codes():
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (\d+) \|", PAGE, re.MULTILINE)
    stated = {name: int(code) for names, code in rows for name in re.findall(r"\w+", names)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind is not errors.TersorError]
    assert stated == {kind.__name__: kind.exit_code for kind in kinds}

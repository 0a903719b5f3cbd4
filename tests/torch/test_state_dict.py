"""State dicts: loaded without running anything, packed, and back into a module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tersor.converters import from_state_dict
from tersor.format_spec.errors import ConversionError, UnsupportedOperator
from tersor.packer import pack
from tersor.runtime import load_tensors


class Evil:
    """Would run code when unpickled."""

    def __reduce__(self):
        return (print, ("never",))


def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Flatten(), torch.nn.Linear(32, 4))


@pytest.mark.parametrize("from_file", [False, True])
def test_there_and_back(from_file: bool, tmp_path: Path):
    source, target, x = network(), network(), torch.randn(2, 3, 4, 4)
    torch.nn.init.zeros_(target[3].weight)  # type: ignore[arg-type]
    torch.save(source.state_dict(), tmp_path / "w.pt")
    pack(from_state_dict(tmp_path / "w.pt" if from_file else source.state_dict()), tmp_path / "w.tersor")
    with load_tensors(tmp_path / "w.tersor") as tensors:
        target.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()})
    assert torch.equal(source.eval()(x), target.eval()(x))


def test_a_pickle_of_anything_else_is_refused_and_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    torch.save({"a": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(ConversionError, match=r"evil\.pt holds more than tensors"):
        from_state_dict(tmp_path / "evil.pt")
    assert capsys.readouterr().out == ""


def test_what_is_no_state_dict_is_told(tmp_path: Path):
    torch.save({"epoch": 3, "state_dict": network().state_dict()}, tmp_path / "checkpoint.pt")
    with pytest.raises(ConversionError, match="'epoch' is of type int, not a tensor"):
        from_state_dict(tmp_path / "checkpoint.pt")
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    with pytest.raises(ConversionError, match="holds an object of type list, not a state dict"):
        from_state_dict(tmp_path / "list.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(ConversionError, match=r"text\.pt holds more than tensors, or is no torch file"):
        from_state_dict(tmp_path / "text.pt")


def test_bfloat16_is_refused_by_name():
    with pytest.raises(UnsupportedOperator, match="tensor 'w' has element type bfloat16"):
        from_state_dict({"w": torch.zeros(2, dtype=torch.bfloat16)})


def test_views_and_scalars_are_held_as_they_look():
    state = {"t": torch.arange(6.0).reshape(2, 3).T, "n": torch.tensor(3)}
    graph = from_state_dict(state)
    assert np.array_equal(graph.initializers["t"].dense(), np.arange(6.0).reshape(2, 3).T)
    assert graph.initializers["n"].shape == graph.initializers["n"].dense().shape == ()


def test_lazy_conjugates_and_negatives_are_held_as_they_look():
    value = torch.tensor([1 + 2j, -3j])
    graph = from_state_dict({"conjugate": value.conj(), "negative": value.conj().imag})
    assert graph.initializers["conjugate"].dense().tolist() == [1 - 2j, 3j]
    assert graph.initializers["negative"].dense().tolist() == [-2, 3]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.eye(3).to_sparse(), "'w' is sparse_coo, not dense: replace it by its to_dense"),
        (lambda: torch.eye(3).to_sparse_csr(), "'w' is sparse_csr, not dense"),
        (lambda: torch.eye(3).to_mkldnn(), "'w' is _mkldnn, not dense"),
        (lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), "'w' is nested, not dense"),
        (lambda: torch.ones(3, device="meta"), "'w' is on the meta device and has no elements"),
    ],
    ids=["sparse", "csr", "mkldnn", "nested", "meta"],
)
@pytest.mark.filterwarnings("ignore:.*in (beta|prototype)")
def test_what_has_no_dense_elements_is_refused(make: Callable[[], torch.Tensor], message: str):
    with pytest.raises(ConversionError, match=message):
        from_state_dict({"w": make()})


def test_names_may_be_numbers():
    assert list(from_state_dict({0: torch.ones(2), 1: torch.ones(3)}).initializers) == ["0", "1"]  # pyright: ignore[reportArgumentType]


def test_a_whole_module_is_refused_in_one_plain_line(tmp_path: Path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "m.pt")
    with pytest.raises(ConversionError, match=r"save model.state_dict\(\) \(UnpicklingError\)$"):
        from_state_dict(tmp_path / "m.pt")

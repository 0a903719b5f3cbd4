"""Writes docs/operators.md: which operator runs, since which opset, for which element types, and on what.

    python benchmarks/operators_table.py docs/operators.md --modules runtime/ops/_modules.py

The second file lists the modules that define operators and pick their kernels. A test fails when either is not what this
writes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from onnx import defs

from tersor.converters.normalise import NEWEST, OLDEST
from tersor.format_spec.graph import OPSET
from tersor.format_spec.records import DTYPE_IDS
from tersor.runtime.ops import Operator, find_lowering, operators
from tersor.runtime.plan.storage import PARTS, VIEWS

_FAMILIES = (
    ("float", ("float16", "float32", "float64")),
    ("int", ("int8", "int16", "int32", "int64")),
    ("uint", ("uint8", "uint16", "uint32", "uint64")),
    ("bool", ("bool",)),
    ("complex", ("complex64", "complex128")),
)
_NAMES = {"float": "float32", "double": "float64"}

_HEAD = f"""# Operators

Written by `benchmarks/operators_table.py`; do not edit.

Models of opset {OLDEST} to {NEWEST} are read; graphs are kept at opset {OPSET} of ONNX's default domain. *Since* is the opset
that defined the operator as it is at {OPSET}. *Elements* are the types of its main input that run: those of the definition that
numpy has. `float` is 16, 32 and 64 bits wide, `int` and `uint` 8 to 64, `complex` 64 and 128. A *kernel* serves the elements
in brackets where the shapes are known before the run and its own conditions hold; everything else, and every operator without
one, runs on the numpy reference. A *view* takes no step where its elements lie together in its input, in order.
`tersor inspect --plan FILE` names what each step of a model runs on. *Refused* are attributes of the definition, or all but one
value of them.

Operators that ONNX defines by others, and that opset {OPSET} does not have (newer ones, `ai.onnx.preview`, functions local to a
model), are expanded when a model is read. Anything not listed is refused with `UnsupportedOperator`, which names operator and
node, before a file is written; so are bfloat16, float8, float4, int4, int2, strings, sequences, optionals and maps.
"""

_MODULES = '''"""Where operators are. Written by benchmarks/operators_table.py; do not edit."""

from __future__ import annotations

from collections.abc import Mapping

MODULES: Mapping[str, tuple[str, ...]] = {
'''

_COLUMNS = """
| operator | since | elements | kernel; else the reference | refused |
| --- | ---: | --- | --- | --- |
"""


def page() -> str:
    """The whole page."""
    missing = sorted(set(pinned()) - set(operators()))
    rows = "".join(f"| {' | '.join(row)} |\n" for row in table())
    tail = (
        f"Of opset {OPSET}, {len(missing)} operators are refused (sequences, optionals, text, randomness, image files): "
        f"{', '.join(missing)}."
    )
    return f"{_HEAD}\n{len(operators())} operators:\n{_COLUMNS}{rows}\n{tail}\n"


def pinned() -> dict[str, defs.OpSchema]:
    """The operators of the pinned opset that are not deprecated."""
    names = {schema.name for schema in defs.get_all_schemas() if not schema.domain}
    found = {name: schema for name in names if (schema := _schema(name)) is not None}
    return {name: schema for name, schema in found.items() if not schema.deprecated}


def _schema(name: str) -> defs.OpSchema | None:
    try:
        return defs.get_schema(name, OPSET, "")
    except defs.SchemaError:
        return None


def table() -> Iterator[tuple[str, str, str, str, str]]:
    """Operator, since, elements, what it runs on, and the attributes that are refused."""
    schemas = pinned()
    for name, found in operators().items():
        schema = schemas[name]
        graphs = any(a.type == defs.OpSchema.AttrType.GRAPH for a in schema.attributes.values())
        runs = "plans of its subgraphs" if graphs else kernels(name)
        yield name, str(schema.since_version), elements(schema), runs, limits(found, schema)


def kernels(name: str) -> str:
    """What may run instead of the reference."""
    lowered = find_lowering(name)
    found = [f"{lowered.kernel} ({lowered.elements})"] if lowered else []
    return ", ".join((["view"] if name in VIEWS | PARTS else []) + found)


def elements(schema: defs.OpSchema) -> str:
    """The types of the first input that run, in families; of the first output where there is no input."""
    formal = (*schema.inputs, *schema.outputs)[0]
    names = {t.removeprefix("tensor(").removesuffix(")") for t in formal.types if t.startswith("tensor(")}
    held = {_NAMES.get(name, name) for name in names} & DTYPE_IDS.keys()
    parts: list[str] = []
    for family, members in _FAMILIES:
        present = [member for member in members if member in held]
        parts += [family] if len(present) == len(members) else present
    return ", ".join(parts)


def limits(found: Operator, schema: defs.OpSchema) -> str:
    """Attributes of the definition that the reference does not take, and those of which it takes one value."""
    absent = [f"`{name}`" for name in sorted(schema.attributes.keys() - found.attribute_names)]
    only = [f"`{name}` but {next(iter(a))}" for name, a in sorted(found.allowed.items()) if len(a) == 1]
    return ", ".join(absent + only)


def modules() -> str:
    """The list of modules."""
    places = {name: {found.reference.__module__} for name, found in operators().items()}
    for name, found in places.items():
        lowered = find_lowering(name)
        found.update([lowered.lower.__module__] if lowered else [])
    lines = (f"    {name!r}: {tuple(sorted(m.rpartition('.')[2] for m in found))},\n" for name, found in places.items())
    return _MODULES + "".join(lines).replace("'", '"') + "}\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--modules", type=Path, required=True)
    given = parser.parse_args()
    given.page.write_text(page(), encoding="utf-8")
    given.modules.write_text(modules(), encoding="utf-8")

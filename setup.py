"""Map the folders at the root under one namespace; everything else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup

# A leftover build/lib would install files that have been renamed away.
FOLDERS = ("format_spec", "runtime", "converters", "packer", "cli")
shutil.rmtree(Path(__file__).with_name("build") / "lib", ignore_errors=True)
setup(packages=[f"tersor.{n}" for n in find_packages(include=[p for f in FOLDERS for p in (f, f"{f}.*")])])

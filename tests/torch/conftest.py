"""These tests need PyTorch, which the ``test`` extra leaves out: without it they are not collected."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("torch") else ["test_*.py"]
collect_ignore = [] if find_spec("torch") else ["training"]

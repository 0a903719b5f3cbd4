"""The Tersor file format: container, graph, plain reference codecs, limits and errors.

``SPEC.md`` beside this file is normative; the code here follows it section by section.
"""

if __name__ != "tersor.format_spec":
    raise ImportError("import tersor.format_spec (pip install .), not the folder format_spec")

"""The picture of a workflow in Graphviz's language: `weft graph FILE --format dot | dot -Tsvg`.

A subgraph is a frame around the node that runs it and the nodes it runs, so edges to and from it need no special case.
"""

from __future__ import annotations

from collections.abc import Iterator

from weft.graph.draw import Drawing

_SHAPES = {
    "job": "box",
    "graph": "folder",
    "workflow": "component",
    "switch": "diamond",
    "approval": "hexagon",
    "wait": "oval",
    "expr": "parallelogram",
    "http": "cds",
    "resource": "cylinder",
    "use": "box3d",
}


def to_dot(drawing: Drawing) -> str:
    """The picture as a DOT digraph."""
    lines = ["digraph workflow {", "  node [fontname=sans];", *_nodes(drawing, None, "main", "  ")]
    if drawing.inside(None, "finally"):
        lines += [
            "  subgraph cluster_finally {",
            '    label="finally";',
            *_nodes(drawing, None, "finally", "    "),
            "  }",
        ]
    for edge in drawing.edges:
        attributes = [] if edge.outcome == "Succeeded" else [f"label={_quoted(edge.outcome)}"]
        if edge.outcome in ("Failed", "Done"):
            attributes.append("style=dashed")
        suffix = f" [{', '.join(attributes)}]" if attributes else ""
        lines.append(f"  {_quoted(edge.source)} -> {_quoted(edge.target)}{suffix};")
    return "\n".join([*lines, "}"])


def _nodes(drawing: Drawing, parent: str | None, stage: str, indent: str) -> Iterator[str]:
    for node in drawing.inside(parent, stage):
        text = _quoted("\n".join(node.label))
        own = f"{_quoted(node.path)} [shape={_SHAPES[node.kind]}, label={text}];"
        if node.is_open:
            yield f"{indent}subgraph {_quoted('cluster ' + node.path)} {{"
            yield f"{indent}  label={_quoted(node.name)};"
            yield f"{indent}  {own}"
            yield from _nodes(drawing, node.path, stage, indent + "  ")
            yield f"{indent}}}"
        else:
            yield indent + own


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'

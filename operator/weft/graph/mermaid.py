"""The picture of a workflow as a Mermaid flowchart: what GitHub, GitLab and most wikis draw from text."""

from __future__ import annotations

from collections.abc import Iterator

from weft.graph.draw import Drawing

_SHAPES = {
    "job": ("[", "]"),
    "graph": ("[[", "]]"),
    "workflow": ("[[", "]]"),
    "switch": ("{", "}"),
    "approval": ("{{", "}}"),
    "wait": ("([", "])"),
    "expr": ("[/", "/]"),
    "http": (">", "]"),
    "resource": ("[(", ")]"),
    "use": ("[", "]"),
}


def to_mermaid(drawing: Drawing) -> str:
    """The picture as a Mermaid flowchart."""
    lines = ["flowchart TD", *_nodes(drawing, None, "main", "  ")]
    if drawing.inside(None, "finally"):
        lines += ["  subgraph finally_[finally]", *_nodes(drawing, None, "finally", "    "), "  end"]
    for edge in drawing.edges:
        arrow = "-.->" if edge.outcome in ("Failed", "Done") else "-->"
        label = "" if edge.outcome == "Succeeded" else f"|{_entities(edge.outcome)}|"
        lines.append(f"  {_id(edge.source)} {arrow}{label} {_id(edge.target)}")
    return "\n".join(lines)


def _nodes(drawing: Drawing, parent: str | None, stage: str, indent: str) -> Iterator[str]:
    for node in drawing.inside(parent, stage):
        text = '"' + "<br/>".join(map(_entities, node.label)) + '"'
        if node.is_open:
            yield f"{indent}subgraph {_id(node.path)}[{text}]"
            yield from _nodes(drawing, node.path, stage, indent + "  ")
            yield f"{indent}end"
        else:
            left, right = _SHAPES[node.kind]
            yield f"{indent}{_id(node.path)}{left}{text}{right}"


def _id(path: str) -> str:
    """A Mermaid name: unique, since names have no capitals, and never one of its own words, such as `end`."""
    return "n_" + path.replace("-", "_").replace("/", "_IN_")


def _entities(text: str) -> str:
    return "".join(char if char.isalnum() or char in " -_.,:/" else f"#{ord(char)};" for char in text)

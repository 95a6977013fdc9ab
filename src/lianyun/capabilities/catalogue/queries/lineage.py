"""Lineage: from source to dataset to library to service, as the declarations and loads tell."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from django.db.models import Q

from lianyun.kernel.access import Actor
from lianyun.kernel.models import Resource

from ..models import Edge
from .entries import visible

KINDS = {
    "source": "数据来源",
    "dataset": "数据集",
    "library": "基础库",
    "service": "数据服务",
    "page": "页面",
    "layer": "图层",
}
DEPTH = 4
HIDDEN = "（未发布的资源）"


@dataclass(frozen=True)
class Node:
    """A thing in the graph: `steps` is its place left (negative) or right of where one looks from."""

    ref: str
    title: str
    kind: str
    steps: int
    name: str = ""

    @property
    def kind_title(self) -> str:
        """Its kind in Chinese."""
        return KINDS.get(self.kind, self.kind)


@dataclass(frozen=True)
class Link:
    """One step: the refs it joins, and what is taken over."""

    source: str
    target: str
    note: str = ""
    source_title: str = ""
    target_title: str = ""


@dataclass
class Graph:
    """The part of the lineage around one thing."""

    centre: str
    nodes: list[Node] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)

    @property
    def upstream(self) -> list[Node]:
        """What it is made from."""
        return [n for n in self.nodes if n.steps < 0]

    @property
    def downstream(self) -> list[Node]:
        """What is made from it."""
        return [n for n in self.nodes if n.steps > 0]


def lineage(viewer: Actor, ref: str, title: str = "", depth: int = DEPTH) -> Graph:
    """The graph around `ref` (`dataset:ga_residents`): ancestors and descendants, `depth` steps each.

    What the viewer may not know of appears as one unnamed node, so that the chain stays whole.
    """
    place: dict[str, int] = {ref: 0}
    titles: dict[str, str] = {ref: title or ref}
    links: dict[tuple[str, str], Link] = {}
    for sign, here, there in ((-1, "target", "source"), (1, "source", "target")):
        front = {ref}
        for step in range(1, depth + 1):
            if not front:
                break
            rows = list(Edge.objects.filter(Q(**{f"{here}__in": front})))
            front = set()
            for edge in rows:
                links[edge.source, edge.target] = Link(edge.source, edge.target, edge.note)
                titles.setdefault(edge.source, edge.source_title)
                titles.setdefault(edge.target, edge.target_title)
                other = getattr(edge, there)
                if other not in place:
                    place[other] = sign * step
                    front.add(other)
    names = {r.partition(":")[2] for r in place if r.startswith(("dataset:", "library:"))}
    known = {
        f"{kind}:{name}": (t, name)
        for kind, name, t in visible(viewer)
        .filter(name__in=names)
        .values_list("kind", "name", "title")
    }
    catalogued = {
        f"dataset:{n}"
        for n in Resource.objects.filter(kind=Resource.DATASET, name__in=names).values_list(
            "name", flat=True
        )
    }
    nodes = []
    for node, steps in sorted(place.items(), key=lambda e: (e[1], e[0])):
        shown, name = known.get(node, (titles[node], ""))
        if node in catalogued and node not in known:
            shown = HIDDEN
        nodes.append(Node(node, shown, node.partition(":")[0], steps, name))
    shown_as = {n.ref: n.title for n in nodes}
    titled = [
        replace(x, source_title=shown_as[x.source], target_title=shown_as[x.target])
        for x in links.values()
    ]
    return Graph(ref, nodes, titled)

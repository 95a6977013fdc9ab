"""XML: text from outside parsed with entities, network and huge trees off."""

from __future__ import annotations

from lxml import etree

LARGEST = 2_000_000
DEEPEST = 200


class BadXml(Exception):
    """Text that is no XML, or more of it than a path or a table can need."""


def parse(text: str) -> etree._Element:
    """The root element of a text; raises BadXml where it is not XML, has a DTD, is huge or too deep."""
    if len(text) > LARGEST:
        raise BadXml("文件过大（超过 200 万字）")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False
    )
    try:
        root = etree.fromstring(text.encode(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadXml(str(error)) from error
    if root.getroottree().docinfo.doctype:
        raise BadXml("不允许文档类型声明（DOCTYPE）")
    deep, level = 0, [root]
    while level:
        deep += 1
        if deep > DEEPEST:
            raise BadXml("文件嵌套过深")
        level = [child for node in level for child in node]
    return root

"""Standards: one opened dataset told in the words of DCAT-AP 3, schema.org, Data Package and CKAN.

Pure: an `entry` goes in, plain data come out. An entry is what `queries.entry` makes: name, title,
summary, provider {slug, name, short}, theme {key, title, dcat}, licence {code, title, url, summary},
cycle, conditional, issued, modified (ISO text), rows, version, columns, files, stars, base (the site's
address without a slash at the end).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

MEDIA = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}
FORMAT_TITLES = {"csv": "CSV", "xlsx": "XLSX", "json": "JSON", "parquet": "Parquet"}
EU = "http://publications.europa.eu/resource/authority/"
FREQUENCIES = {
    "实时": "CONT",
    "每日": "DAILY",
    "每周": "WEEKLY",
    "每旬": "MONTHLY_3",
    "每月": "MONTHLY",
    "每季度": "QUARTERLY",
    "每年": "ANNUAL",
    "不定期": "IRREG",
}
CONTEXT: dict[str, Any] = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "spdx": "http://spdx.org/rdf/terms#",
    "dcatap": "http://data.europa.eu/r5r/",
    "adms": "http://www.w3.org/ns/adms#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "owl": "http://www.w3.org/2002/07/owl#",
}
TABLE_TYPES = {"BIGINT": "integer", "INTEGER": "integer", "DOUBLE": "number", "DATE": "date",
               "TIMESTAMP": "datetime", "BOOLEAN": "boolean"}  # fmt: skip
CKAN_TYPES = {"BIGINT": "int8", "INTEGER": "int4", "DOUBLE": "float8", "DATE": "date",
              "TIMESTAMP": "timestamp", "BOOLEAN": "bool"}  # fmt: skip


def page_of(entry: Mapping[str, Any]) -> str:
    """The address of a dataset's page."""
    return f"{entry['base']}/open/datasets/{entry['name']}/"


def file_of(entry: Mapping[str, Any], kind: str) -> str:
    """The address of a dataset's file."""
    return f"{page_of(entry)}{entry['name']}.{kind}"


def _zh(text: str) -> dict[str, str]:
    return {"@value": text, "@language": "zh"}


def _stamp(text: str) -> dict[str, str]:
    return {"@value": text, "@type": "xsd:dateTime"}


def _typed(iri: str, kind: str, title: str = "") -> dict[str, Any]:
    told: dict[str, Any] = {"@id": iri, "@type": kind}
    if title and kind == "skos:Concept":
        told["skos:prefLabel"] = _zh(title)
    return told


def _agent(base: str, provider: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "@id": f"{base}/open/datasets/?department={provider['slug']}#agent",
        "@type": "foaf:Agent",
        "foaf:name": _zh(provider["name"]),
    }


def _licence(entry: Mapping[str, Any]) -> dict[str, Any]:
    licence = entry["licence"]
    iri = licence.get("url") or f"{entry['base']}/open/help/#{licence['code']}"
    return {"@id": iri, "@type": "dct:LicenseDocument", "dct:title": _zh(licence["title"])}


def _rights(conditional: bool) -> dict[str, Any]:
    word = "RESTRICTED" if conditional else "PUBLIC"
    return _typed(f"{EU}access-right/{word}", "dct:RightsStatement")


def distribution(entry: Mapping[str, Any], kind: str, file: Mapping[str, Any]) -> dict[str, Any]:
    """One file as dcat:Distribution."""
    address = file_of(entry, kind)
    return {
        "@id": f"{address}#distribution",
        "@type": "dcat:Distribution",
        "dct:title": _zh(f"{entry['title']}（{FORMAT_TITLES[kind]}）"),
        "dct:description": _zh(f"{entry['title']}第 {entry['version']} 版，{entry['rows']} 行"),
        "dcat:accessURL": {"@id": page_of(entry), "@type": "foaf:Document"},
        "dcat:downloadURL": {"@id": address},
        "dct:license": _licence(entry),
        "dct:format": _typed(f"{EU}file-type/{kind.upper()}", "dct:MediaTypeOrExtent"),
        "dcat:mediaType": _typed(
            f"https://www.iana.org/assignments/media-types/{MEDIA[kind]}", "dct:MediaType"
        ),
        "dcat:byteSize": {"@value": str(file["bytes"]), "@type": "xsd:nonNegativeInteger"},
        "dct:issued": _stamp(entry["issued"]),
        "dct:modified": _stamp(entry["modified"]),
        "dct:language": _typed(f"{EU}language/ZHO", "dct:LinguisticSystem"),
        "dcatap:availability": _typed(
            f"{EU}planned-availability/STABLE", "skos:Concept", "长期提供"
        ),
        "spdx:checksum": {
            "@id": f"{address}#checksum",
            "@type": "spdx:Checksum",
            "spdx:algorithm": {
                "@id": "http://spdx.org/rdf/terms#checksumAlgorithm_sha256",
                "@type": "spdx:ChecksumAlgorithm",
            },
            "spdx:checksumValue": {"@value": file["sha256"], "@type": "xsd:hexBinary"},
        },
    }


def dataset(entry: Mapping[str, Any]) -> dict[str, Any]:
    """One opening as dcat:Dataset of DCAT-AP 3."""
    theme = entry["theme"]
    return {
        "@id": f"{page_of(entry)}#dataset",
        "@type": "dcat:Dataset",
        "dct:title": _zh(entry["title"]),
        "dct:description": _zh(entry["summary"] or entry["title"]),
        "dct:identifier": entry["name"],
        "dct:publisher": _agent(entry["base"], entry["provider"]),
        "dcat:contactPoint": {
            "@id": f"{entry['base']}/open/datasets/?department={entry['provider']['slug']}#contact",
            "@type": "vcard:Kind",
            "vcard:fn": _zh(entry["provider"]["name"]),
            "vcard:hasURL": {"@id": f"{entry['base']}/open/requests/new/"},
        },
        "dcat:keyword": [_zh(word) for word in entry["keywords"]],
        "dcat:theme": _typed(f"{EU}data-theme/{theme['dcat']}", "skos:Concept", theme["title"]),
        "dct:accessRights": _rights(entry["conditional"]),
        "dct:accrualPeriodicity": _typed(
            f"{EU}frequency/{FREQUENCIES.get(entry['cycle'], 'UNKNOWN')}", "dct:Frequency"
        ),
        "dct:issued": _stamp(entry["issued"]),
        "dct:modified": _stamp(entry["modified"]),
        "dct:language": _typed(f"{EU}language/ZHO", "dct:LinguisticSystem"),
        "dct:spatial": {
            "@id": f"{entry['base']}/open/#city",
            "@type": "dct:Location",
            "skos:prefLabel": _zh(entry["city"]),
        },
        "dcat:landingPage": {"@id": page_of(entry), "@type": "foaf:Document"},
        "dcat:version": str(entry["version"]),
        "dcat:distribution": [
            distribution(entry, kind, file) for kind, file in entry["files"].items()
        ],
    }


def catalogue(
    base: str,
    title: str,
    city: str,
    publisher: Mapping[str, Any],
    entries: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The whole site as dcat:Catalog of DCAT-AP 3, in JSON-LD, with its interface as data service."""
    issued = min((e["issued"] for e in entries), default="")
    modified = max((e["modified"] for e in entries), default="")
    told: dict[str, Any] = {
        "@context": CONTEXT,
        "@id": f"{base}/open/#catalogue",
        "@type": "dcat:Catalog",
        "dct:title": _zh(title),
        "dct:description": _zh(f"{city}各部门向社会开放的公共数据目录"),
        "dct:publisher": _agent(base, publisher),
        "foaf:homepage": {"@id": f"{base}/open/", "@type": "foaf:Document"},
        "dct:language": _typed(f"{EU}language/ZHO", "dct:LinguisticSystem"),
        "dct:spatial": {
            "@id": f"{base}/open/#city",
            "@type": "dct:Location",
            "skos:prefLabel": _zh(city),
        },
        "dct:license": {
            "@id": "https://creativecommons.org/publicdomain/zero/1.0/",
            "@type": "dct:LicenseDocument",
        },
        "dcat:themeTaxonomy": {
            "@id": f"{EU}data-theme",
            "@type": "skos:ConceptScheme",
            "dct:title": _zh("数据主题"),
        },
        "dcat:dataset": [dataset(e) for e in entries],
        "dcat:service": {
            "@id": f"{base}/open/api/#service",
            "@type": "dcat:DataService",
            "dct:title": _zh("开放数据接口"),
            "dct:description": _zh("按声明的数据项筛选、排序、分页读取各开放数据集"),
            "dcat:endpointURL": {"@id": f"{base}/open/api/"},
            "dcat:endpointDescription": {"@id": f"{base}/open/developers/"},
            "dct:publisher": _agent(base, publisher),
            "dcat:contactPoint": {
                "@id": f"{base}/open/#contact",
                "@type": "vcard:Kind",
                "vcard:fn": _zh(publisher["name"]),
                "vcard:hasURL": {"@id": f"{base}/open/requests/new/"},
            },
            "dct:accessRights": _rights(False),
            "dcat:servesDataset": [{"@id": f"{page_of(e)}#dataset"} for e in entries],
        },
    }
    if issued:
        told["dct:issued"], told["dct:modified"] = _stamp(issued), _stamp(modified)
    return told


def one_dataset(entry: Mapping[str, Any]) -> dict[str, Any]:
    """One dataset alone, in JSON-LD."""
    return {"@context": CONTEXT, **dataset(entry)}


def schema_org(entry: Mapping[str, Any]) -> dict[str, Any]:
    """One dataset for search engines (schema.org/Dataset)."""
    licence = entry["licence"]
    return {
        "@context": "https://schema.org/",
        "@type": "Dataset",
        "name": entry["title"],
        "description": (entry["summary"] or entry["title"]).ljust(50, "。")
        if len(entry["summary"] or entry["title"]) < 50
        else entry["summary"],
        "url": page_of(entry),
        "identifier": entry["name"],
        "keywords": entry["keywords"],
        "license": licence.get("url") or f"{entry['base']}/open/help/#{licence['code']}",
        "isAccessibleForFree": True,
        "inLanguage": "zh-CN",
        "version": str(entry["version"]),
        "datePublished": entry["issued"],
        "dateModified": entry["modified"],
        "creator": {"@type": "GovernmentOrganization", "name": entry["provider"]["name"]},
        "spatialCoverage": entry["city"],
        "variableMeasured": [c["title"] for c in entry["columns"]],
        "includedInDataCatalog": {"@type": "DataCatalog", "url": f"{entry['base']}/open/"},
        "distribution": [
            {
                "@type": "DataDownload",
                "encodingFormat": MEDIA[kind],
                "contentUrl": file_of(entry, kind),
                "contentSize": f"{file['bytes']} B",
                "sha256": file["sha256"],
            }
            for kind, file in entry["files"].items()
        ],
    }


def package(entry: Mapping[str, Any]) -> dict[str, Any]:
    """One dataset as a Data Package (specs.frictionlessdata.io) over its CSV file."""
    licence = entry["licence"]
    fields = [
        {
            "name": c["title"],
            "title": c["title"],
            "type": "number"
            if c["type"].startswith("DECIMAL")
            else TABLE_TYPES.get(c["type"], "string"),
            "description": c.get("note") or c["title"],
            **({"format": "%Y-%m-%d %H:%M:%S"} if c["type"] == "TIMESTAMP" else {}),
        }
        for c in entry["columns"]
    ]
    file = entry["files"]["csv"]
    return {
        "profile": "tabular-data-package",
        "name": entry["name"].replace("_", "-"),
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, page_of(entry))),
        "title": entry["title"],
        "description": entry["summary"],
        "homepage": page_of(entry),
        "version": str(entry["version"]),
        "created": entry["modified"],
        "keywords": entry["keywords"],
        "licenses": [
            {
                "name": licence["code"],
                "title": licence["title"],
                **({"path": licence["url"]} if licence.get("url") else {}),
            }
        ],
        "contributors": [{"title": entry["provider"]["name"], "role": "publisher"}],
        "resources": [
            {
                "profile": "tabular-data-resource",
                "name": entry["name"].replace("_", "-"),
                "title": entry["title"],
                "path": file_of(entry, "csv"),
                "format": "csv",
                "mediatype": "text/csv",
                "encoding": "utf-8-sig",
                "bytes": file["bytes"],
                "hash": f"sha256:{file['sha256']}",
                "schema": {"fields": fields, "missingValues": [""]},
            }
        ],
    }


# ---- CKAN's shapes -------------------------------------------------------------------------


def ckan_id(*parts: str) -> str:
    """The identifier that CKAN's clients expect to be a UUID; the same for the same thing always."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))


def ckan_organization(provider: Mapping[str, Any], count: int) -> dict[str, Any]:
    """A department as CKAN's organization."""
    return {
        "id": ckan_id("organization", provider["slug"]),
        "name": provider["slug"],
        "title": provider["name"],
        "display_name": provider["name"],
        "description": "",
        "type": "organization",
        "is_organization": True,
        "state": "active",
        "package_count": count,
        "image_url": "",
    }


def ckan_group(theme: Mapping[str, Any], count: int) -> dict[str, Any]:
    """A theme as CKAN's group."""
    return {
        "id": ckan_id("group", theme["key"]),
        "name": theme["key"],
        "title": theme["title"],
        "display_name": theme["title"],
        "description": "",
        "type": "group",
        "is_organization": False,
        "state": "active",
        "package_count": count,
        "image_display_url": "",
    }


def ckan_resource(entry: Mapping[str, Any], kind: str, position: int) -> dict[str, Any]:
    """A file as CKAN's resource; the CSV one can be asked through datastore_search."""
    file = entry["files"][kind]
    return {
        "id": ckan_id("resource", entry["name"], kind),
        "package_id": ckan_id("package", entry["name"]),
        "name": f"{entry['title']}（{FORMAT_TITLES[kind]}）",
        "description": "",
        "format": FORMAT_TITLES[kind].upper(),
        "mimetype": MEDIA[kind],
        "url": file_of(entry, kind),
        "url_type": "datastore" if kind == "csv" else None,
        "size": file["bytes"],
        "hash": file["sha256"],
        "position": position,
        "state": "active",
        "datastore_active": kind == "csv" and not entry["conditional"],
        "created": entry["issued"],
        "last_modified": entry["modified"],
    }


def ckan_package(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A dataset as CKAN's package."""
    licence, theme = entry["licence"], entry["theme"]
    resources = [ckan_resource(entry, kind, i) for i, kind in enumerate(entry["files"])]
    return {
        "id": ckan_id("package", entry["name"]),
        "name": entry["name"],
        "title": entry["title"],
        "notes": entry["summary"],
        "type": "dataset",
        "state": "active",
        "private": False,
        "isopen": not entry["conditional"],
        "license_id": licence["code"],
        "license_title": licence["title"],
        "license_url": licence.get("url", ""),
        "author": entry["provider"]["name"],
        "maintainer": entry["provider"]["name"],
        "url": page_of(entry),
        "version": str(entry["version"]),
        "metadata_created": entry["issued"],
        "metadata_modified": entry["modified"],
        "owner_org": ckan_id("organization", entry["provider"]["slug"]),
        "organization": ckan_organization(entry["provider"], 0),
        "groups": [{k: v for k, v in ckan_group(theme, 0).items() if k != "package_count"}],
        "tags": [
            {"id": ckan_id("tag", word), "name": word, "display_name": word, "state": "active"}
            for word in entry["keywords"]
        ],
        "num_tags": len(entry["keywords"]),
        "resources": resources,
        "num_resources": len(resources),
        "extras": [
            {"key": "update_frequency", "value": entry["cycle"]},
            {"key": "row_count", "value": str(entry["rows"])},
        ],
        "relationships_as_subject": [],
        "relationships_as_object": [],
    }


def ckan_field(column: Mapping[str, Any]) -> dict[str, Any]:
    """A column as datastore_search tells of it."""
    kind = str(column["type"])
    return {
        "id": column["name"],
        "type": "numeric" if kind.startswith("DECIMAL") else CKAN_TYPES.get(kind, "text"),
        "info": {"label": column["title"], "notes": column.get("note", "")},
    }

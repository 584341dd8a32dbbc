"""Labels as keywords of photos, as Lightroom, digiKam and Immich write them.

They are in the XMP packet of a photo (``dc:subject``), or of a file ``photo.jpg.xmp`` or
``photo.xmp`` beside it; older programs write IPTC keywords. The packet beside the photo counts
first, then the one inside, then IPTC, in the order that the Metadata Working Group recommends.
https://developer.adobe.com/xmp/docs/
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, SubElement, register_namespace, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from PIL import Image
from PIL.IptcImagePlugin import getiptcinfo

from photosieve.data.folders import PhotoFile, walk
from photosieve.data.formats import DECODERS, register_heif
from photosieve.data.label_files import LabelEntry
from photosieve.data.label_forms.forms import FolderForm, Labeled
from photosieve.data.label_forms.places import copied
from photosieve.errors import LabelsError

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DC = "http://purl.org/dc/elements/1.1/"
_META = "adobe:ns:meta/"
_SUBJECT = f"{{{_DC}}}subject"

_MOST_PACKET = 16 * 2**20
_MOST_SEGMENT = 65_533  # of a JPEG file, without its marker and length
_XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
_KEYWORDS, _CODING = (2, 25), (1, 90)  # of IPTC
_UTF8 = b"\x1b%G"


def _read(folder: Path) -> list[LabelEntry]:
    """Read the keywords of all photos that have some."""
    photos = sorted(item.path for item in walk(folder) if isinstance(item, PhotoFile))
    found = ((path, keywords(folder / path)) for path in photos)
    return [LabelEntry(path, own) for path, own in found if own]


def keywords(photo: Path) -> list[str]:
    """Return the keywords of a photo; none where its metadata are damaged.

    Raises
    ------
    LabelsError
        If a file of metadata beside it cannot be read.
    """
    for beside in (photo.with_name(photo.name + ".xmp"), photo.with_suffix(".xmp")):
        if beside.is_file():
            try:
                with beside.open("rb") as file:
                    found = _subjects(file.read(_MOST_PACKET + 1))
            except (OSError, ValueError) as error:
                raise LabelsError(f"{beside} cannot be read ({str(error)[:100]}).") from error
            if found:
                return found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(
                photo, formats=(*DECODERS, *(["HEIF"] if register_heif() else []))
            ) as image:
                packet = image.info.get("xmp", b"")
                packet = packet.encode() if isinstance(packet, str) else packet
                return _subjects(packet.rstrip(b"\0 ")) or _iptc(getiptcinfo(image) or {})
        except Exception:  # a reader of photos says what is wrong with this one
            return []


def _subjects(packet: bytes) -> list[str]:
    """Return the subjects in an XMP packet; ValueError if it is damaged or hostile."""
    if not packet:
        return []
    if len(packet) > _MOST_PACKET:
        raise ValueError(f"it has more than {_MOST_PACKET:,} bytes")
    try:
        root = fromstring(packet, forbid_dtd=True)
    except (ParseError, DefusedXmlException) as error:
        raise ValueError(str(error) or "it defines entities") from error
    items = (item for subject in root.iter(_SUBJECT) for item in subject.iter(f"{{{_RDF}}}li"))
    texts = (" ".join((item.text or "").split()) for item in items)
    return list(dict.fromkeys(text for text in texts if text))


def _iptc(records: dict[tuple[int, int], Any]) -> list[str]:
    values = records.get(_KEYWORDS, [])
    coding = "utf-8" if records.get(_CODING) == _UTF8 else "cp1252"

    def text(value: bytes) -> str:
        try:
            return value.decode("utf-8")  # most programs write it, and few say so
        except UnicodeDecodeError:
            return value.decode(coding, "replace")

    found = map(text, [values] if isinstance(values, bytes) else values)
    return list(dict.fromkeys(" ".join(keyword.split()) for keyword in found if keyword.strip()))


def _write(out: Path, photos: Sequence[Labeled]) -> dict[Path, Path]:
    """Copy the photos; a JPEG file gets a packet inside, any other photo has one beside it."""
    copies = copied(out, photos)
    for item in photos:
        copy, packet = copies[item.photo], _packet(item.verdicts.yes)
        content = _with_packet(copy.read_bytes(), packet)
        if content is not None:
            copy.write_bytes(content)
        else:
            copy.with_name(copy.name + ".xmp").write_bytes(packet)
    return copies


def _packet(subjects: Sequence[str]) -> bytes:
    for prefix, name in {"x": _META, "rdf": _RDF, "dc": _DC}.items():
        register_namespace(prefix, name)
    meta = Element(f"{{{_META}}}xmpmeta")
    about = {f"{{{_RDF}}}about": ""}
    description = SubElement(SubElement(meta, f"{{{_RDF}}}RDF"), f"{{{_RDF}}}Description", about)
    bag = SubElement(SubElement(description, _SUBJECT), f"{{{_RDF}}}Bag")
    for subject in subjects:
        SubElement(bag, f"{{{_RDF}}}li").text = subject
    return bytes(tostring(meta, "utf-8", xml_declaration=False))


def _with_packet(content: bytes, packet: bytes) -> bytes | None:
    """Return the bytes of a JPEG file with a packet; None where it has no place for one.

    A file that has a packet of its own keeps it: that may hold more than keywords.
    """
    segment = _XMP_SEGMENT + packet
    if content[:2] != b"\xff\xd8" or _XMP_SEGMENT in content or len(segment) > _MOST_SEGMENT:
        return None
    place = 2
    while content[place : place + 2] in (b"\xff\xe0", b"\xff\xe1"):  # JFIF and EXIF come first
        place += 2 + int.from_bytes(content[place + 2 : place + 4])
    length = (len(segment) + 2).to_bytes(2)
    return content[:place] + b"\xff\xe1" + length + segment + content[place:]


KEYWORDS = FolderForm("keywords", "keywords in the photos", _read, _write)

"""Formats of photos: which names are read, what the first bytes of a file say, and what to do.

A name is a hint, and the content decides: a HEIC photo called ``photo.jpg`` is read as HEIC.
"""

from __future__ import annotations

import functools
from importlib.util import find_spec

HEIF_REMEDY = "pip install photosieve[heif]"

_HAS_HEIF = find_spec("pillow_heif") is not None


def _endings(text: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in text.split())


_HEIF = _endings("heic heif hif")
_RAW = _endings(
    "3fr arw cr2 cr3 crw dcr dng erf gpr iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2 "
    "srf srw x3f"
)
_OTHERS = _endings(
    "bpg dds eps exr flif hdr hdp icns ico jls jxl jxr pbm pcx pgm pnm ppm psb psd qoi svg tga wdp "
    "xcf"
)

SUFFIXES = _endings(
    "jpg jpeg jpe jif jfif jfi pjpeg mpo png apng webp bmp dib tif tiff gif avif jp2 j2k j2c jpc "
    "jpf jpx"
) | (_HEIF if _HAS_HEIF else frozenset())
"""Endings of names, in lower case, of photos that are read."""

UNREAD = {
    **dict.fromkeys(_RAW | _OTHERS, "save as JPEG"),
    **dict.fromkeys(_HEIF - SUFFIXES, HEIF_REMEDY),
}
"""Endings of names of pictures that are not read, each with the remedy."""

DECODERS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000")
"""Pillow's decoders in use; others (EPS, PSD, ...) are a needless risk on unknown files."""

READ = (*DECODERS, "HEIF") if _HAS_HEIF else DECODERS
"""Names of the formats that are read, as `name_of` returns them."""

HEAD_BYTES = 64
"""The first bytes of a file that `name_of` wants."""

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}
_SHARED_BRANDS = {b"mif1", b"msf1"}  # of both; the brands that follow tell which

_STARTS = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "BMP": (b"BM",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "JPEG2000": (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"),
    "JPEG XL": (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"),
    "PSD": (b"8BPS",),
    "PDF": (b"%PDF",),
    "RAW": (b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR"),
}


def name_of(head: bytes) -> str:
    """Return the name of a format by the first bytes of a file, "" where it is unknown.

    Names of formats that are read are those of Pillow's decoders.

    Parameters
    ----------
    head : bytes
        The first `HEAD_BYTES` bytes; fewer if the file is shorter.
    """
    if head[4:8] == b"ftyp":
        size = min(int.from_bytes(head[:4], "big"), len(head))
        major, brands = head[8:12], {head[at : at + 4] for at in range(16, size, 4)}
        if major in _AVIF_BRANDS or (major in _SHARED_BRANDS and brands & _AVIF_BRANDS):
            return "AVIF"
        if major in _HEIF_BRANDS | _SHARED_BRANDS:
            return "HEIF"
        return {b"crx ": "RAW"}.get(major, "video")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    return next((name for name, starts in _STARTS.items() if head.startswith(starts)), "")


@functools.cache
def register_heif() -> bool:
    """Add the decoder of HEIC and HEIF to Pillow's; False if `pillow-heif` is not installed."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True

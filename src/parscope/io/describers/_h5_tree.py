"""Walks through an HDF5 file for its metadata; leads that go out of the collected folder are named, not followed.

HDF5 files can name other files in three ways: external links, virtual data sets, and data sets whose samples are
stored elsewhere. A link is resolved here, never by HDF5, and only if it stays in the folder.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from parscope.core.errors import ParscopeError
from parscope.io._h5 import attribute, beside, open_file
from parscope.io._h5_heap import check_heaps
from parscope.io._scan import first_line
from parscope.io.describers._base import is_within
from parscope.io.describers._preview import BUDGET
from parscope.io.describers._verbatim import summary

_NODES, _DEEPEST, _FILES = 50_000, 60, 1000
_LISTED, _PLAIN, _CHUNK = 10_000, 256, 256 << 20
# what HDF5 itself keeps with scales of dimensions
_INTERNAL = ("DIMENSION_LIST", "REFERENCE_LIST")
_NETCDF = "_NCProperties"  # by which the libraries of netCDF mark their files


class Walk:
    """Everything in a file, read once.

    Parameters
    ----------
    path : Path
        The file.
    within : Path
        Folder that may be read.
    """

    def __init__(self, path: Path, within: Path) -> None:
        self.path, self.within = path, within
        self.arrays: dict[str, h5py.Dataset] = {}
        """Arrays of numbers whose samples may be read, by their path in the file."""
        self.notes: list[str] = []
        self.parts: list[Path] = []
        self.closed = True
        """Whether nothing in it leads to other files."""
        self._seen: dict[tuple[str, int], str] = {}
        self._nodes, self._left = 0, BUDGET
        self._files = ExitStack()

    def close(self) -> None:
        """Close the files that were linked to."""
        self._files.close()

    def tree(self, group: h5py.Group, name: str = "", depth: int = 0) -> dict[str, Any]:
        """Attributes and members of a group, and so on.

        Parameters
        ----------
        group : h5py.Group
            Where to begin.
        name : str, optional
            Its path, as it is told.
        depth : int, default 0
            How deep it lies.

        Returns
        -------
        dict
        """
        mark = (str(group.file.filename), h5py.h5o.get_info(group.id).addr)
        if mark in self._seen or depth > _DEEPEST:
            return {"link": self._seen.get(mark, "too deep")}
        self._seen[mark] = name or "/"
        members: dict[str, Any] = {}
        for child in group:
            self._nodes += 1
            if self._nodes > _NODES:
                self.notes.append(f"Only the first {_NODES} objects were described.")
                break
            members[child] = self._member(group, child, f"{name}/{child}", depth)
        return {**self._attributes(group, members), **members}

    def _member(self, group: h5py.Group, child: str, name: str, depth: int) -> Any:
        try:
            link = group.get(child, getlink=True)
            if isinstance(link, h5py.SoftLink):
                return {"link": link.path}
            if isinstance(link, h5py.ExternalLink):
                return self._external(group, link, name, depth)
            node = group[child]
        except (KeyError, OSError, TypeError, RuntimeError, ValueError) as error:
            self.notes.append(f"{name} cannot be read ({first_line(error)}).")
            return None
        return self._node(node, name, depth)

    def _node(self, node: Any, name: str, depth: int) -> Any:
        if isinstance(node, h5py.Group):
            return self.tree(node, name, depth + 1)
        return self._dataset(node, name) if isinstance(node, h5py.Dataset) else str(getattr(node, "dtype", ""))

    def _external(self, group: h5py.Group, link: h5py.ExternalLink, name: str, depth: int) -> Any:
        self.closed = False
        told = {"link": f"{link.filename}:{link.path}"}
        target = self._inside(Path(group.file.filename), link.filename, name)
        if target is None:
            return told
        try:
            check_heaps(target)
            file = self._files.enter_context(open_file(target))
            found = self._node(file[link.path], name, depth)
        except (ParscopeError, KeyError, OSError, RuntimeError, ValueError) as error:
            self.notes.append(f"{name} links to {link.filename}, which cannot be read ({first_line(error)}).")
            return told
        return {**told, **(found if isinstance(found, dict) else {"value": found})}

    def _inside(self, source: Path, named: str, name: str) -> Path | None:
        """A file that another names, if it is there and within the folder."""
        target = beside(source, named)
        if not target.is_file():
            # an absolute path of the acquisition machine: the file was copied here along with its master
            target = source.parent / Path(named.replace("\\", "/")).name
        if not is_within(target, self.within):
            self.notes.append(f"{name} leads to {named}, out of the folder that is collected, and was not followed.")
            return None
        if not target.is_file():
            self.notes.append(f"{name} leads to {named}, which is missing.")
            return None
        if target not in self.parts:
            if len(self.parts) >= _FILES:
                return None
            self.parts.append(target)
        return target

    def _attributes(self, node: Any, members: Any = ()) -> dict[str, Any]:
        """Attributes under their own names; with an @ in front where a member has that name."""
        return {f"@{key}" if key in members else key: value for key, value in self._pairs(node)}

    def _pairs(self, node: Any) -> Iterator[tuple[str, Any]]:
        for key in node.attrs:
            if key in _INTERNAL:
                continue
            try:
                value = attribute(node, key, _Unread)
            except (OSError, TypeError, ValueError, RuntimeError) as error:
                value = _Unread
                self.notes.append(f"Attribute {key} of {node.name} cannot be read ({first_line(error)}).")
            if value is _Unread:
                yield key, None
            else:
                yield key, _named(node, value[0] if _is_scalar_of_netcdf(node, value) else value)

    def _dataset(self, node: h5py.Dataset, name: str) -> Any:
        mark = (str(node.file.filename), h5py.h5o.get_info(node.id).addr)
        if mark in self._seen:
            return {"link": self._seen[mark]}
        self._seen[mark] = name
        shape = None if node.shape is None else [int(n) for n in node.shape]
        readable = shape is not None and self._readable(node, name)
        if readable and shape and node.dtype.kind in "buifcV" and 0 not in shape:
            self.arrays[name] = node
        value = self._value(node, shape) if readable else {"shape": shape, "dtype": str(node.dtype)}
        told = dict(self._pairs(node))
        if not told:
            return value
        held = value if isinstance(value, dict) and "shape" in value else {"value": value}
        return {**held, **{f"@{k}" if k in held else k: v for k, v in told.items()}}

    def _value(self, node: h5py.Dataset, shape: Any) -> Any:
        size = math.prod(shape)
        short = size <= (_LISTED if len(shape) < 2 else _PLAIN)
        bytes_ = size * node.dtype.itemsize
        if bytes_ > self._left:
            return {"shape": shape, "dtype": str(node.dtype)}
        self._left -= bytes_
        try:
            value = node[()]
        except (OSError, TypeError, ValueError, RuntimeError) as error:
            self.notes.append(f"{node.name} cannot be read ({first_line(error)}).")
            self.arrays.pop(str(node.name), None)
            return {"shape": shape, "dtype": str(node.dtype)}
        return _named(node, value) if short else summary(np.asarray(value))

    def _readable(self, node: h5py.Dataset, name: str) -> bool:
        """Whether samples may be read: none from elsewhere, none that would fill the memory."""
        if node.external or node.is_virtual:
            self.closed = False
            return node.is_virtual and self._virtual(node, name)
        if h5py.check_vlen_dtype(node.dtype) not in (None, str, bytes):
            return False
        chunk = math.prod(node.chunks) * node.dtype.itemsize if node.chunks else 0
        plain = node.chunks is None and node.id.get_offset() is not None
        if chunk > _CHUNK or (plain and node.nbytes > Path(node.file.filename).stat().st_size):
            self.notes.append(f"The shape of {name} contradicts how it is stored; it was not read.")
            return False
        limits = node.maxshape or node.shape
        return not node.chunks or all(m is None or c <= m for c, m in zip(node.chunks, limits, strict=True))

    def _virtual(self, node: h5py.Dataset, name: str) -> bool:
        """Whether all that a virtual data set is made of is plain, and in files within the folder."""
        sources = {(source.file_name, source.dset_name) for source in node.virtual_sources()}
        if len(sources) > _FILES:
            return False
        return all(self._plain(node, file, dataset, name) for file, dataset in sorted(sources))

    def _plain(self, node: h5py.Dataset, file: str, dataset: str, name: str) -> bool:
        home = Path(node.file.filename)
        # %b stands for the number of a block: such names are resolved by HDF5 alone
        target = home if file == "." else None if "%" in file else self._inside(home, file, name)
        if target is None or (file != "." and target != beside(home, file)):
            return False
        try:
            with open_file(target) as opened:
                link = opened.get(dataset, getlink=True)
                source = opened[dataset] if isinstance(link, h5py.HardLink) else None
                return isinstance(source, h5py.Dataset) and not source.external and not source.is_virtual
        except (ParscopeError, KeyError, OSError, RuntimeError, ValueError) as error:
            self.notes.append(f"{name} is made of {file}, which cannot be read ({first_line(error)}).")
            return False


class _Unread:
    """Stands for an attribute that cannot be read safely."""


def _is_scalar_of_netcdf(node: Any, value: Any) -> bool:
    """Whether an attribute is one value: netCDF has no other form for it than an array of one."""
    return isinstance(value, np.ndarray) and value.shape == (1,) and _NETCDF in node.file.attrs


def _named(node: Any, value: Any) -> Any:
    """A value with references as the names of what they point to."""
    if isinstance(value, (h5py.Reference, h5py.RegionReference)):
        found = h5py.h5r.get_name(value, node.file.id) if value else None
        return found.decode("utf-8", "replace") if found else None
    if isinstance(value, h5py.Empty):
        return None
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return [_named(node, entry) for entry in value.reshape(-1)]
    return value

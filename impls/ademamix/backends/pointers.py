"""What the backends that walk memory by themselves share: dense tensors in one order, and their addresses as a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from impls.ademamix.backends.batch import Batch, recording
from impls.ademamix.scalars import ROW

FIELDS = ("theta", "g", "m1", "m2", "nu", "m1_scale", "m2_scale", "nu_scale")
"""The order of a row of the table, before the number of elements; `Tensor` of csrc/ademamix_step.h."""


@dataclass
class Walkable:
    """A batch whose tensors can be walked in the order of their memory, and what must be copied back after the step."""

    batch: Batch
    numbers: list[int]
    """Of the tensors that have any element."""
    columns: list[list[torch.Tensor]]
    """`FIELDS`, each a tensor for each of ``numbers``, or an empty list."""
    back: list[tuple[torch.Tensor, torch.Tensor]]

    def addresses(self) -> npt.NDArray[np.int64]:
        """`FIELDS` and the number of elements, one row for each tensor."""
        table = np.zeros((len(self.numbers), len(FIELDS) + 1), dtype=np.int64)
        for index, tensors in enumerate(self.columns):
            if tensors:
                table[:, index] = [t.data_ptr() for t in tensors]
        table[:, -1] = [t.numel() for t in self.columns[0]]
        return table

    def rows(self) -> npt.NDArray[np.float64]:
        """The scalars, one row for each tensor; for kinds that are not capturable."""
        different: dict[int, int] = {}
        values: list[tuple[float, ...]] = []
        index = []
        for number in self.numbers:
            s = self.batch.scalars[number]
            at = different.setdefault(id(s), len(values))
            if at == len(values):
                values.append(s.row())
            index.append(at)
        return np.array(values, dtype=np.float64).reshape(-1, ROW)[index]

    def keys(self) -> npt.NDArray[np.uint32]:
        """Two words for each tensor; for kinds that are not capturable."""
        if not self.batch.kind.draws:
            return np.zeros((len(self.numbers), 2), dtype=np.uint32)
        return np.array([self.batch.keys[n] for n in self.numbers], dtype=np.uint32).reshape(-1, 2)

    def finish(self) -> None:
        """Write back what was computed on copies."""
        for target, source in self.back:
            target.copy_(source)


def walkable(batch: Batch) -> Walkable:
    """The batch in memory order: tensors with gaps, or in another order than their moments, go through copies."""
    numbers, back = [], []
    theta, g = [], []
    for number, (parameter, gradient) in enumerate(zip(batch.theta, batch.g, strict=True)):
        if not parameter.numel():
            continue
        numbers.append(number)
        if batch.contiguous or (parameter.is_contiguous() and gradient.is_contiguous() and batch.m2[number].is_contiguous()):
            theta.append(parameter)
            g.append(gradient)
            continue
        # An 8-bit code lies where the parameter would; other moments say in which order they lie.
        strides = batch.m2[number].stride() if parameter.numel() > 1 else parameter.stride()
        own = parameter
        if parameter.stride() != strides:
            own = torch.empty_strided(parameter.shape, strides, dtype=parameter.dtype, device=parameter.device)
            own.copy_(parameter)
            back.append((parameter, own))
        if gradient.stride() != strides and parameter.numel() > 1:
            gradient = torch.empty_strided(parameter.shape, strides, dtype=parameter.dtype, device=parameter.device).copy_(
                gradient
            )
        theta.append(own)
        g.append(gradient)
    columns = [theta, g]
    for name in FIELDS[2:]:
        tensors = getattr(batch, name)
        columns.append([tensors[n] for n in numbers] if tensors else [])
    return Walkable(batch, numbers, columns, back)


@dataclass(frozen=True)
class Tables:
    """On the device: addresses, and for each launch the tensor and number of each chunk, and whether all are aligned."""

    addresses: torch.Tensor
    launches: tuple[tuple[torch.Tensor, bool], ...]


_KEPT: dict[tuple[torch.device, int, bytes], Tables] = {}
"""Tables of lists seen lately: addresses rarely change, and a recorded graph may not copy from the host."""
_RECORDED: dict[tuple[torch.device, int, bytes], Tables] = {}
"""Tables that a graph was recorded with: it reads them at every replay, whatever lists were seen meanwhile."""


def tables_of(work: Walkable, chunk: int) -> Tables:
    """Made once for each list of addresses."""
    addresses = work.addresses()
    device = work.batch.device
    key = (device, chunk, addresses.tobytes())
    if key not in _KEPT:
        if len(_KEPT) >= 64:
            _KEPT.pop(next(iter(_KEPT)))
        counts = addresses[:, -1]
        # A code takes one byte: alignment of 16 bytes in the least format is alignment in all.
        aligned = (np.bitwise_or.reduce(addresses[:, : len(FIELDS)], axis=1) % 16 == 0).astype(bool)
        launches = []
        for which in (True, False):
            tensors = np.flatnonzero(aligned == which)
            if len(tensors):
                pieces = -(-counts[tensors] // chunk)
                index = np.repeat(tensors, pieces)
                first = np.arange(len(index)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
                table = np.stack([index, first], axis=1).astype(np.int32)
                launches.append((torch.from_numpy(table).to(device), which))
        _KEPT[key] = Tables(torch.from_numpy(addresses).to(device), tuple(launches))
    if recording():
        _RECORDED[key] = _KEPT[key]
    return _KEPT[key]


def scalars_of(work: Walkable) -> tuple[torch.Tensor, torch.Tensor]:
    """float32 rows and int32 keys on the device."""
    batch = work.batch
    if batch.rows is not None:
        # By number, one by one, where some tensor is empty: an index would be copied from the host.
        rows, keys = batch.rows, batch.keys
        if len(work.numbers) < len(batch.theta):
            rows = torch.stack([batch.rows[n] for n in work.numbers])
            if isinstance(keys, torch.Tensor):
                keys = torch.stack([keys[n] for n in work.numbers])
        if isinstance(keys, torch.Tensor):
            # The words' bits as signed numbers: a plain conversion would not be defined for the upper half.
            return rows.to(torch.float32), torch.where(keys >= 2**31, keys - 2**32, keys).to(torch.int32)
        return rows.to(torch.float32), rows.new_zeros((len(work.numbers), 2), dtype=torch.int32)
    return _sent(work.rows().astype(np.float32), work.keys().view(np.int32), batch.device)


def _sent(
    rows: npt.NDArray[np.float32], keys: npt.NDArray[np.int32], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both on the device by one copy, which a CUDA device makes from pinned memory: the host does not wait for it.

    torch keeps pinned memory that a copy still reads from being handed out again.
    """
    words = np.concatenate([rows.view(np.int32).ravel(), keys.ravel()])
    staged = torch.empty(len(words), dtype=torch.int32, pin_memory=device.type == "cuda")
    staged.numpy()[:] = words
    there = staged.to(device, non_blocking=True)
    return there[: rows.size].view(torch.float32).view(rows.shape), there[rows.size :].view(keys.shape)

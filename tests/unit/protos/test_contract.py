"""The contract refuses what does not follow it, and gives back what it was given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos import contract
from protos.v1 import features_pb2, flow_pb2

WIDTH = len(contract.FEATURES)


def columns(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    made = {}
    for name, dtype in contract.COLUMNS.items():
        shape = (rows, *dtype.shape)
        if dtype.base.kind == "f":
            made[name] = rng.random(shape).astype(dtype.base)
        else:
            made[name] = rng.integers(0, np.iinfo(dtype.base).max, size=shape, dtype=dtype.base)
    return made


def test_the_list_is_the_descriptor():
    """Names and order are those of the message, numbered from one without holes."""
    fields = sorted(features_pb2.FlowFeatures.DESCRIPTOR.fields, key=lambda field: field.number)
    assert tuple(field.name for field in fields) == contract.FEATURES
    assert [field.number for field in fields] == list(range(1, WIDTH + 1))
    assert len(contract.DIGEST) == 64


def test_every_column_is_a_field_of_the_message():
    """Nothing travels that the message does not declare, and nothing declared is forgotten."""
    declared = {field.name for field in flow_pb2.FlowColumns.DESCRIPTOR.fields} - {"rows"}
    assert declared == set(contract.COLUMNS)


@given(rows=st.integers(0, 30), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_columns_and_matrix_come_back_as_they_went(rows, seed):
    """Packing and unpacking is the identity, through the wire format."""
    given_columns = columns(rows, seed)
    message = flow_pb2.FlowColumns.FromString(contract.pack_columns(given_columns).SerializeToString())
    taken = contract.unpack_columns(message)
    for name, values in given_columns.items():
        np.testing.assert_array_equal(taken[name], values)
    matrix = np.random.default_rng(seed).random((rows, WIDTH)).astype(np.float32)
    np.testing.assert_array_equal(contract.unpack_matrix(contract.pack_matrix(matrix), rows), matrix)


@given(data=st.binary(max_size=400), rows=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_foreign_bytes_are_refused_before_they_are_read(data, rows):
    """A size that does not match the row count never becomes an array, however large the count claims to be."""
    if len(data) != rows * WIDTH * 4:
        with pytest.raises(contract.ContractError, match="expected"):
            contract.unpack_matrix(data, rows)
    message = flow_pb2.FlowColumns(rows=rows, src_ip=data)
    if rows:
        with pytest.raises(contract.ContractError, match="column"):
            contract.unpack_columns(message)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_is_refused(value):
    """No later stage meets NaN or infinity."""
    matrix = np.zeros((2, WIDTH), dtype=np.float32)
    matrix[1, 3] = value
    with pytest.raises(contract.ContractError, match="not finite"):
        contract.unpack_matrix(contract.pack_matrix(matrix), 2)
    broken = columns(2)
    broken["score"][0] = value
    with pytest.raises(contract.ContractError, match="score"):
        contract.unpack_columns(contract.pack_columns(broken))


def test_wrong_shapes_are_refused():
    """A matrix of another width and columns of unequal length never leave."""
    with pytest.raises(contract.ContractError, match="columns"):
        contract.pack_matrix(np.zeros((3, WIDTH + 1), dtype=np.float32))
    uneven = columns(3)
    uneven["packets"] = uneven["packets"][:2]
    with pytest.raises(contract.ContractError, match="packets"):
        contract.pack_columns(uneven)
    with pytest.raises(contract.ContractError, match="no feature named"):
        contract.index("payload_entropy")


@pytest.mark.parametrize("text", ["10.0.0.1", "2001:db8::1", "::1", "255.255.255.255"])
def test_addresses_read_back(text):
    """Sixteen bytes, and the same text again; IPv4 stays IPv4."""
    packed = contract.parse_address(text)
    assert len(packed) == 16
    assert contract.format_address(packed) == text

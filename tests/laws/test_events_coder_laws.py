"""What goes into the coders of the bounded codec comes out again, whatever it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress_mpi.methods.events import rangecoder as coder
from compress_mpi.methods.events.basis import interval_weights, total_weights
from compress_mpi.methods.events.coder import coded_bits, decode_rows, encode_rows
from compress_mpi.methods.events.program import ColumnCode, compile_program, input_sources
from compress_mpi.methods.events.smallints import Reader, Writer
from compress_mpi.methods.events.tables import SLOTS, choose_table, read_table, table_bits, write_table
from compress_mpi.methods.events.tinyflow import (
    Net,
    Shape,
    cumulative,
    evaluate,
    integrate,
    read_net,
    slots_log,
    write_net,
)

SOME = settings(max_examples=40, deadline=None)
SYMBOLS = st.integers(1, coder.MAX_TOTAL).flatmap(
    lambda total: st.tuples(st.integers(0, total - 1), st.just(total), st.integers(1, 2**61))
)


@SOME
@given(st.lists(SYMBOLS, max_size=60), st.integers(0, 2**40))
def test_range_coder_gives_symbols_and_uniform_numbers_back(symbols, salt):
    state, words = coder.start_encoding(), np.zeros(8 * len(symbols) + 8, dtype=np.uint32)
    for start, total, width in symbols:
        coder.encode(state, words, start, max(1, (total - start) // 2), total)
        coder.encode_uniform(state, words, salt % width, width)
    data = coder.to_bytes(words[: coder.finish(state, words)])
    read = coder.from_bytes(data)
    state = coder.start_decoding(read)
    for start, total, width in symbols:
        size = max(1, (total - start) // 2)
        assert start <= coder.target(state, total) < start + size
        coder.take(state, read, start, size, total)
        assert coder.decode_uniform(state, read, width) == salt % width
    ideal = sum(np.log2(total / max(1, (total - start) // 2)) + np.log2(w) for start, total, w in symbols)
    assert 8 * len(data) <= ideal * 1.01 + 64


def test_a_carry_runs_through_words_that_are_full():
    """The most likely symbol at the upper end, many times, then one that lifts the lower end over it."""
    symbols = [(1, 2**16 - 1, 2**16)] * 4000 + [(2**16 - 1, 1, 2**16)] * 6
    state, words = coder.start_encoding(), np.zeros(64, dtype=np.uint32)
    for symbol in symbols:
        coder.encode(state, words, *symbol)
    read = coder.from_bytes(coder.to_bytes(words[: coder.finish(state, words)]))
    state = coder.start_decoding(read)
    for start, size, total in symbols:
        assert start <= coder.target(state, total) < start + size
        coder.take(state, read, start, size, total)


@SOME
@given(st.lists(st.lists(st.integers(-(2**31), 2**31 - 1) | st.integers(-9, 9), max_size=40), max_size=5))
def test_lists_of_integers_come_back(lists):
    writer = Writer()
    for number, values in enumerate(lists):
        writer.bits(number * 977, 40)
        writer.integers(np.array(values, dtype=np.int64))
    reader = Reader(writer.finish())
    for number, values in enumerate(lists):
        assert reader.bits(40) == number * 977
        assert reader.integers(len(values)).tolist() == values


INDICES = st.lists(
    st.integers(-5, 5) | st.integers(-(2**52), 2**52) | st.just(7), min_size=1, max_size=120
).map(lambda values: np.array(values, dtype=np.int64))


@SOME
@given(INDICES)
def test_a_table_covers_its_range_and_comes_back(values):
    table = choose_table(values, int(values.min()), int(values.max()), len(values))
    assert table.edges[0] == values.min()
    assert table.edges[-1] == values.max() + 1
    assert (np.diff(table.edges) > 0).all()
    assert (np.diff(table.slots) > 0).all()
    assert (table.slots[0], table.slots[-1]) == (0, SLOTS)
    assert np.isfinite(table_bits(table, values))
    writer = Writer()
    write_table(writer, table)
    again = read_table(Reader(writer.finish()))
    assert np.array_equal(again.edges, table.edges)
    assert np.array_equal(again.slots, table.slots)


def _net(rng, inputs, relative, wild):
    shape = Shape(inputs, int(rng.integers(1, 9)), int(rng.choice([4, 8, 16, 32])), relative)
    largest = 127 if wild else 20
    return Net(shape, rng.integers(-largest, largest + 1, sum(shape.sizes)))


@SOME
@given(st.integers(0, 2**32), st.booleans(), st.booleans())
def test_densities_are_positive_and_add_up(seed, relative, wild):
    rng = np.random.default_rng(seed)
    net = _net(rng, 2, relative, wild)
    shape, features = net.shape, rng.integers(-128, 128, 6).astype(np.int32)
    density, scratch = np.zeros((2, 64), dtype=np.int64), np.zeros((2, 64), dtype=np.int32)
    evaluate(net.scaled(), 6, shape.hidden, shape.outputs, features, scratch, density[0])
    total = integrate(density[0], shape.segments, relative, density[1])
    reference, log = int(rng.integers(SLOTS)), slots_log(shape.segments)
    sums = np.array(
        [
            cumulative(density[0], density[1], shape.segments, log, relative, reference, slot)
            for slot in range(SLOTS + 1)
        ]
    )
    assert (sums[0], sums[-1]) == (0, total)
    assert total <= coder.MAX_TOTAL
    assert (np.diff(sums) > 0).all()
    # the training sees the same distribution
    low, high = np.arange(SLOTS), np.arange(1, SLOTS + 1)
    knots = density[0, : shape.outputs].astype(np.float64)
    trained = interval_weights(shape, low, high, np.full(SLOTS, reference)).astype(float) @ knots
    assert knots @ total_weights(shape) == pytest.approx(total, abs=70)
    assert np.abs(trained - np.diff(sums)).max() <= 3


@SOME
@given(st.integers(0, 2**32), st.integers(0, 40), st.integers(1, 5), st.booleans(), st.booleans())
def test_rows_come_back_from_the_block_coder(seed, rows, columns, context, sort):
    rng = np.random.default_rng(seed)
    indices = (rng.normal(size=(rows, columns)) * 2.0 ** rng.integers(0, 50, columns)).astype(np.int64)
    codes = []
    for column, values in enumerate(indices.T):
        low, high = int(values.min(initial=0)), int(values.max(initial=0))
        table = choose_table(values[: rows // 2], low, high, 1000)
        inputs = len(input_sources(column, columns, context))
        net = _net(rng, inputs, context and bool(rng.integers(2)), True) if rng.integers(3) else None
        codes.append(ColumnCode(table, net))
    if sort:
        codes[-1] = ColumnCode(codes[-1].table, gap=True)
        indices = indices[np.argsort(indices[:, -1], kind="stable")]
    program = compile_program(codes, context)
    data = encode_rows(program, indices)
    assert np.array_equal(decode_rows(program, data, rows), indices)
    if rows and not sort:
        starts = np.arange(rows) == 0
        assert 8 * len(data) == pytest.approx(coded_bits(program, indices, starts).sum(), rel=1e-2, abs=64)


@SOME
@given(st.integers(0, 2**32), st.integers(0, 6), st.booleans())
def test_a_network_comes_back(seed, inputs, relative):
    net = _net(np.random.default_rng(seed), inputs, relative, True)
    writer = Writer()
    write_net(writer, net)
    again = read_net(Reader(writer.finish()), inputs)
    assert again.shape == net.shape
    assert np.array_equal(again.numbers, net.numbers)

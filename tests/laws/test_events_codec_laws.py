"""Whatever a table holds, no value comes back off by more than its bound."""

from fractions import Fraction

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from compress_mpi.methods.events.bounded import decode_block, encode_block
from compress_mpi.methods.events.bounds import Bound, resolve
from compress_mpi.methods.events.fitting import FitSettings, extent_of, fit
from compress_mpi.methods.events.plan import Plan
from compress_mpi.methods.events.statistics import ColumnStatistics

DTYPES = ["float16", "float32", "float64", "int8", "int64", "uint64", "uint16", "bool"]
ROWS = st.shared(st.integers(1, 40), key="rows")
COLUMN = st.tuples(st.sampled_from(DTYPES), ROWS).flatmap(
    lambda pair: (
        arrays.arrays(pair[0], pair[1], elements=arrays.from_dtype(np.dtype(pair[0])))
        | arrays.arrays(
            pair[0], pair[1], fill=st.nothing(), elements=st.sampled_from([0, 1]).map(np.dtype(pair[0]).type)
        )
    )
)
BOUND = st.sampled_from(["absolute", "relative", "range", "lossless"]).flatmap(
    lambda kind: st.builds(Bound, st.just(kind), st.floats(0, 0.9) | st.sampled_from([1e-300, 1e-6, 0.5]))
)


def exceeded(x, found, bound, largest, smallest):
    """The first value whose error is too large, without rounding."""
    for one, other in zip(x.tolist(), found.tolist(), strict=True):
        if np.isnan(one) or np.isinf(one):
            continue
        allowed = {
            "absolute": Fraction(bound.value),
            "relative": Fraction(bound.value) * abs(Fraction(one)),
            "range": Fraction(bound.value) * (Fraction(largest) - Fraction(smallest)),
            "lossless": Fraction(0),
        }[bound.kind]
        if abs(Fraction(one) - Fraction(other)) > allowed:
            return one, other, allowed
    return None


@settings(max_examples=60, deadline=None)
@example([(np.array([np.inf], dtype=np.float16), Bound("absolute", 0.0))], False)
@example([(np.array([2**63 - 1]), Bound("lossless"))], False)
@example([(np.array([2**63, 0], dtype=np.uint64), Bound("lossless"))], False)
@given(st.lists(st.tuples(COLUMN, BOUND), min_size=1, max_size=4), st.booleans())
def test_bounds_hold_for_every_value_of_every_table(columns, unordered):
    rows = {f"c{number}": x for number, (x, _) in enumerate(columns)}
    statistics = {name: ColumnStatistics.of(x) for name, x in rows.items()}
    grids = {
        name: resolve(bound, statistics[name], x.dtype.name)
        for (name, x), (_, bound) in zip(rows.items(), columns, strict=True)
    }
    extent = {name: extent_of(grids[name], s.minimum, s.maximum) for name, s in statistics.items()}
    number = len(columns[0][0])
    settings_ = FitSettings(model="marginal", unordered=unordered)
    starts = np.arange(number) == 0
    plan = fit(rows, starts, grids, extent, number, settings_, lambda f, tasks: [f(task) for task in tasks])
    encoded = encode_block(plan, rows)
    again = Plan.restore(plan.facts(), plan.tables_bytes(), plan.model_bytes())
    found = decode_block(again, encoded.data, number)
    for (name, x), (_, bound) in zip(encoded.original.items(), columns, strict=True):
        assert sorted(map(repr, x.tolist())) == sorted(map(repr, rows[name].tolist()))
        s = statistics[name]
        assert exceeded(x, found[name], bound, s.maximum or 0, s.minimum or 0) is None
        special = ~np.isfinite(x)
        assert found[name][special].tobytes() == x[special].tobytes()
        if bound.kind == "lossless":
            assert found[name].tobytes() == x.tobytes()

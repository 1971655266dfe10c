"""Writes the small LHAPDF sets of this folder: one good set, and copies with one defect each.

    python tests/bad_inputs/make_sets.py

Each defect is what the name of the set says; tests/cli/test_bad_inputs.py lists
the message that each must give.
"""

import shutil
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent / "sets"
N_REP = 12
PIDS = (-3, -2, -1, 1, 2, 3, 21)
X = np.array([1e-6, 1e-5, 1e-3, 1e-1, 0.5, 1.0])
Q = np.array([1.0, 2.0, 10.0, 100.0])

INFO = """SetDesc: "tiny set for tests"
SetIndex: 0
Authors: nobody
Format: lhagrid1
DataVersion: 1
NumMembers: {members}
Particle: 2212
Flavors: [-3, -2, -1, 1, 2, 3, 21]
OrderQCD: 1
FlavorScheme: variable
NumFlavors: 3
ErrorType: {error_type}
XMin: 1.0e-06
XMax: 1.0
QMin: 1.0
QMax: 100.0
MZ: 91.1876
AlphaS_MZ: 0.118
AlphaS_OrderQCD: 1
AlphaS_Type: ipol
AlphaS_Qs: [1.0, 2.0, 10.0, 100.0]
AlphaS_Vals: [0.4, 0.3, 0.18, 0.116]
"""


def member_text(member: int) -> str:
    rng = np.random.default_rng(member)
    values = 1.0 + 0.2 * rng.standard_t(6, size=(len(X), len(Q), len(PIDS)))
    values[-1] = 0.0
    rows = values.reshape(-1, len(PIDS))
    head = f"PdfType: {'replica' if member else 'central'}\nFormat: lhagrid1\n---\n"
    knots = "\n".join(" ".join(f"{v:.6E}" for v in axis) for axis in (X, Q))
    body = "\n".join(" ".join(f"{v:.6E}" for v in row) for row in rows)
    return f"{head}{knots}\n{' '.join(map(str, PIDS))}\n{body}\n---\n"


def write_set(name: str, error_type: str = "replicas") -> Path:
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / f"{name}.info").write_text(INFO.format(members=N_REP + 1, error_type=error_type))
    for member in range(N_REP + 1):
        (folder / f"{name}_{member:04d}.dat").write_text(member_text(member))
    return folder


def change(name: str, member: int, old: str, new: str) -> None:
    path = write_set(name) / f"{name}_{member:04d}.dat"
    text = path.read_text()
    spot = text.index(old, text.index("---") + 4) if old else len(text) // 2
    path.write_text(text[:spot] + new + text[spot + len(old) :])


def main() -> None:
    write_set("tiny")
    write_set("hessian", "hessian")
    first_value = member_text(3).splitlines()[6].split()[2]
    change("nan_member", 3, first_value, "nan")
    change("inf_member", 3, first_value, "inf")
    change("word_member", 3, first_value, "banana")
    half = write_set("truncated") / "truncated_0007.dat"
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    (write_set("empty_member") / "empty_member_0005.dat").write_bytes(b"")
    (write_set("binary_member") / "binary_member_0005.dat").write_bytes(bytes(range(256)) * 8)
    (write_set("missing_member") / "missing_member_0009.dat").unlink()
    (write_set("missing_info") / "missing_info.info").unlink()
    info = write_set("no_count") / "no_count.info"
    info.write_text(info.read_text().replace("NumMembers: 13\n", ""))
    same = write_set("all_equal")
    for member in range(N_REP + 1):
        (same / f"all_equal_{member:04d}.dat").write_text(member_text(1))


if __name__ == "__main__":
    main()

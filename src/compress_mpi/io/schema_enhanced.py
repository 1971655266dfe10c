"""Every name in the sidecar of an enhanced set, declared once; as `compress_mpi.io.schema` for results."""

from __future__ import annotations

from compress_mpi.io import schema
from compress_mpi.io.schema import Attribute, Dataset

__all__ = ["ATTRIBUTES", "DATASETS", "SCHEMA_VERSION", "TASK", "attribute_of", "dataset_of"]

SCHEMA_VERSION = 1
TASK = "enhance"

DATASETS = (
    Dataset(
        "/weights",
        "float64",
        ("new", "replica"),
        "1",
        "row k: weights of the prior's replicas 1, 2, ... in new replica k; each row sums to 1",
    ),
    Dataset(
        "/candidates",
        "int64",
        ("new",),
        "1",
        "number of the candidate that each new replica was; seeds are counted by it",
        required=False,
    ),
    Dataset("/settings", "str", (), "", "every setting of the generator and the guards, JSON"),
    Dataset("/runcard", "str", (), "", "runcard of the enhancement as it was read", required=False),
    Dataset(
        "/basis/explained",
        "float64",
        ("component",),
        "1",
        "fraction of the prior's scaled variance in each principal component, largest first",
        required=False,
    ),
    Dataset(
        "/losses/<name>", "float64", None, "1", "loss of the training, one value per epoch", required=False
    ),
    Dataset("/guards/facts", "str", (), "", "what the guards found, JSON", required=False),
    Dataset(
        "/guards/<name>",
        "any",
        None,
        "1",
        "figure of a guard, with the new replica or the check as first axis",
        required=False,
    ),
    Dataset("/quality/facts", "str", (), "", "quality report in numbers, JSON", required=False),
    Dataset("/quality/<name>", "any", None, "1", "quality report, as arrays", required=False),
)

ATTRIBUTES = (
    Attribute("/", "format", "str", "always compress-mpi"),
    Attribute("/", "schema_version", "int64", "version of this layout"),
    Attribute("/", "task", "str", "always enhance"),
    Attribute("/", "name", "str", "name of the enhanced set"),
    Attribute("/", "generator", "str", "what made the new replicas"),
    Attribute("/", "seed", "int64", "seed of the generator"),
    Attribute("/", "total_replicas", "int64", "replicas of the enhanced set, those of the prior among them"),
    Attribute("/", "components", "int64", "principal components that were sampled, 0 for none", required=False),
    Attribute("/", "fingerprint", "str", "digest of weights, prior and settings"),
    Attribute("/", "created", "str", "UTC time of writing"),
    Attribute("/", "versions", "str", "software versions, JSON"),
    Attribute("/prior", "name", "str", "name of the prior"),
    Attribute("/prior", "members", "int64", "its replicas"),
    Attribute("/prior", "sha256", "str", "digest of its values"),
)  # fmt: skip


def dataset_of(path: str) -> Dataset | None:
    """Declaration of a dataset, None if the layout does not know the path."""
    return schema.dataset_of(path, DATASETS)


def attribute_of(path: str, name: str) -> Attribute | None:
    """Declaration of an attribute, None if the layout does not know it."""
    return schema.attribute_of(path, name, ATTRIBUTES)
